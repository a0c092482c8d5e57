// SPDX-License-Identifier: Apache-2.0
// Figures as people read them. Pure functions.

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const whole = new Intl.NumberFormat("en");

/** "4,812,301" */
export function count(value) {
  return whole.format(value);
}

/** Three digits and a unit: "1.25 GiB", "37 B". */
export function bytes(value) {
  let unit = 0;
  // 999.5 would be shown with four digits.
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1024;
    ++unit;
  }
  if (unit === 0) {
    return `${Math.round(value)} B`;
  }
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${byteUnits[unit]}`;
}

/** A rate in bytes a second; below one byte nothing is going on. */
export function rate(bytesPerSecond) {
  return bytesPerSecond === null || bytesPerSecond < 1 ? "–" : `${bytes(bytesPerSecond)}/s`;
}

/** "8 s", "3 min 20 s", "5 h 12 min", "3 d 4 h". */
export function duration(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  const steps = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  for (const [length, unit, rest, restUnit] of steps) {
    if (seconds >= length) {
      const more = Math.floor((seconds % length) / rest);
      return `${Math.floor(seconds / length)} ${unit}${more > 0 ? ` ${more} ${restUnit}` : ""}`;
    }
  }
  return `${seconds} s`;
}

/** How long before `now` something was; both in unix seconds. */
export function ago(then, now) {
  const seconds = now - then;
  if (seconds < 2) {
    return "now";
  }
  const largest = duration(seconds).split(" ").slice(0, 2).join(" ");
  return `${largest} ago`;
}

/** A moment (unix seconds) in the reader's own time zone. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString();
}

/** 0 to 100; a part that is not the whole is never shown as 100. */
export function percent(part, total) {
  return total > 0 ? Math.min(part === total ? 100 : 99, Math.floor((100 * part) / total)) : 0;
}
