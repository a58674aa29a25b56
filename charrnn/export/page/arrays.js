// Arrays from the page's data: base64 to bytes, bytes to typed arrays.

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BLOCK = 1 << 16;
const TYPES = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array, // as stored; see `fromHalf`
};

/** The bytes that `text` stands for; yields after every block. */
function* decodeBase64(text) {
  const value = new Uint8Array(128);
  for (let i = 0; i < BASE64.length; i++) value[BASE64.charCodeAt(i)] = i;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let place = 0;
  for (let i = 0; i < text.length; i += 4) {
    const word =
      (value[text.charCodeAt(i)] << 18) |
      (value[text.charCodeAt(i + 1)] << 12) |
      (value[text.charCodeAt(i + 2)] << 6) |
      value[text.charCodeAt(i + 3)];
    bytes[place++] = word >> 16; // beyond the end, nothing is stored
    bytes[place++] = word >> 8;
    bytes[place++] = word;
    if (i % BLOCK === 0) yield;
  }
  return bytes;
}

/** Numbers of 16 bits (IEEE 754 binary16), given as integers, in 32 bits. */
function* fromHalf(half) {
  const single = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) {
    const bits = half[i];
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    // No infinities or NaN: the exporter refuses them.
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    single[i] = bits & 0x8000 ? -size : size;
    if (i % BLOCK === 0) yield;
  }
  return single;
}

/**
 * All arrays of the page, by name.
 *
 * @param text base64 of all of them.
 * @param index for each, its name, type, offset in bytes and length in numbers.
 */
function* decodeArrays(text, index) {
  const bytes = yield* decodeBase64(text);
  const arrays = {};
  for (const { name, dtype, offset, length } of index) {
    const stored = new TYPES[dtype](bytes.buffer, offset, length);
    arrays[name] = dtype === "float16" ? yield* fromHalf(stored) : stored;
  }
  return arrays;
}
