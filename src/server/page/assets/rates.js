// SPDX-License-Identifier: Apache-2.0
// Rates out of counters that only grow.

const windowMilliseconds = 8000;

/** The rate of each of many counters, over the last seconds that the page was told of. */
export class Rates {
  #samples = new Map();

  /**
   * Notes that the counter `key` stood at `value` at `time` (milliseconds of the server's clock);
   * returns units a second, or null while only one moment is known.
   */
  note(key, value, time) {
    let samples = this.#samples.get(key) ?? [];
    if (samples.length > 0 && (time < samples.at(-1).time || value < samples.at(-1).value)) {
      samples = []; // the server was started anew
    }
    if (samples.length === 0 || time > samples.at(-1).time) {
      samples.push({ time, value });
    }
    while (samples.length > 2 && samples[1].time <= time - windowMilliseconds) {
      samples.shift();
    }
    this.#samples.set(key, samples);
    const first = samples[0];
    return time > first.time ? (1000 * (value - first.value)) / (time - first.time) : null;
  }

  /** Forgets all counters that were not noted at `time`. */
  keepOnly(time) {
    for (const [key, samples] of this.#samples) {
      if (samples.at(-1).time !== time) {
        this.#samples.delete(key);
      }
    }
  }

  /** After a pause: what happened meanwhile is no rate of now. */
  reset() {
    this.#samples.clear();
  }
}
