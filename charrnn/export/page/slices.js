// Long work in short slices, so that the page stays responsive.
//
// Every function that may take long is a generator that yields now and then. A slice runs it for
// about ten milliseconds; then the browser may draw and react before the next slice.

const SLICE_MILLISECONDS = 10;
const PROGRESS_MILLISECONDS = 60; // drawing a text anew costs as much as writing some of it

/** Run `generator` to its end without a break, and return its result. */
function finish(generator) {
  let step = generator.next();
  while (!step.done) step = generator.next();
  return step.value;
}

/**
 * Run `generator` in slices.
 *
 * @param generator what to run.
 * @param progress called now and then, to show what was done so far.
 * @param isStopped asked before each slice; if it answers true, the work is abandoned.
 * @returns a promise of the generator's result, or of undefined if it was abandoned.
 */
function inSlices(generator, progress = () => {}, isStopped = () => false) {
  let shown = performance.now();
  const channel = new MessageChannel(); // unlike setTimeout, not delayed by four milliseconds
  return new Promise((resolve, reject) => {
    channel.port1.onmessage = () => {
      try {
        if (isStopped()) {
          generator.return();
          close(undefined);
          return;
        }
        const end = performance.now() + SLICE_MILLISECONDS;
        let step = generator.next();
        while (!step.done && performance.now() < end) step = generator.next();
        if (step.done) {
          close(step.value);
        } else {
          if (performance.now() - shown > PROGRESS_MILLISECONDS) {
            progress();
            shown = performance.now();
          }
          channel.port2.postMessage(null);
        }
      } catch (error) {
        channel.port1.close();
        reject(error);
      }
    };
    function close(value) {
      channel.port1.close();
      resolve(value);
    }
    channel.port2.postMessage(null);
  });
}
