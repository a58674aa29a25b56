// Several networks of the same sizes as one (charrnn/models/ensemble.py): the average of their logits.

class Ensemble {
  constructor(networks) {
    this.networks = networks;
    this.hidden = networks[0].hidden;
    this.logits = new Float32Array(networks[0].logits.length);
  }

  /** The states of all networks, one after the other: for each layer, its arrays. */
  initialState() {
    return this.networks.flatMap((network) => network.initialState());
  }

  /** As Network's. */
  step(id, state) {
    const { logits } = this;
    logits.fill(0);
    this.forEach(state, (network, own) => {
      const found = network.step(id, own);
      for (let i = 0; i < logits.length; i++) logits[i] += found[i] / this.networks.length;
    });
    return logits;
  }

  /** As Network's. */
  read(id, state) {
    this.forEach(state, (network, own) => network.read(id, own));
  }

  forEach(state, work) {
    const layers = state.length / this.networks.length;
    this.networks.forEach((network, k) => work(network, state.slice(k * layers, (k + 1) * layers)));
  }
}

/** The network of these sizes, or the ensemble of `count` of them, from the weights by name. */
function makeNetwork(architecture, count, arrays) {
  const networks = Array.from({ length: count }, (_, k) => {
    const prefix = k ? `networks.${k}.` : "";
    return new Network(architecture, (name) => arrays[prefix + name]);
  });
  return count > 1 ? new Ensemble(networks) : networks[0];
}
