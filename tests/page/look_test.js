// SPDX-License-Identifier: Apache-2.0
// Readable on a phone and on a desk, by eye and by ear.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { clusterSize, importAsset, rowOf, TestBrowser, TestServer, textWhen } from "./support.js";

const { Rates } = await importAsset("rates.js");
const { bytes, duration, percent } = await importAsset("units.js");
const longName = `faculty-of-physics/${"laboratory-".repeat(15)}end`;

let browser;
let server;
before(async () => {
  browser = await TestBrowser.start();
  server = await TestServer.start();
  await server.addImage(`${longName}.r1`, clusterSize);
  await server.addImage("lab.r1", clusterSize);
  await server.addImage("lab.r2", clusterSize);
  await server.sendCluster(await server.beginUpload(longName), 0, 4);
  const merged = await server.beginUpload("lab");
  await server.merge(merged, clusterSize);
});
afterEach(() => browser.closePages());
after(async () => {
  await browser.end();
  await server.end();
  assert.deepEqual(browser.problems, []);
});

/** The texts of elements whose contrast, as WCAG 2 defines it, is below 4.5. Runs in the page. */
function weakTexts(elements) {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const surfaceOf = (element) => {
    for (let behind = element; behind; behind = behind.parentElement) {
      const color = channels(getComputedStyle(behind).backgroundColor);
      if (color[3] !== 0) {
        return color;
      }
    }
    return [255, 255, 255];
  };
  const contrast = (element) => {
    const [light, dark] =
      [luminance(channels(getComputedStyle(element).color)), luminance(surfaceOf(element))]
        .sort((left, right) => right - left);
    return (light + 0.05) / (dark + 0.05);
  };
  const hasText = (element) => [...element.childNodes].some((child) =>
    child.nodeType === Node.TEXT_NODE && child.data.trim() !== "");
  return elements.filter((element) => hasText(element) && contrast(element) < 4.5)
    .map((element) => `${element.textContent}: ${contrast(element)}`);
}

async function everythingShown(options) {
  const page = await browser.open(server.address, options);
  await textWhen(rowOf(page, "uploads", longName), (text) => text !== "");
  await textWhen(rowOf(page, "history", "lab"), (text) => text !== "");
  return page;
}

for (const [name, viewport] of [["phone", { width: 360, height: 740 }],
  ["tablet", { width: 800, height: 1000 }], ["desk", { width: 1280, height: 900 }]]) {
  test(`nothing is wider than a ${name}`, async () => {
    const page = await everythingShown({ viewport });
    const check = () => page.evaluate(() => {
      const edge = document.documentElement.clientWidth;
      const wider = [...document.querySelectorAll("body *")].filter((element) =>
        element.checkVisibility() && element.getBoundingClientRect().right > edge + 0.5);
      return [document.documentElement.scrollWidth <= edge, wider.map((e) => e.outerHTML)];
    });
    assert.deepEqual(await check(), [true, []]);
    await page.getByRole("button", { name: /^Merge: / }).click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await check(), [true, []]);
  });
}

for (const colorScheme of ["light", "dark"]) {
  test(`texts stand out in ${colorScheme}`, async () => {
    const page = await everythingShown({ colorScheme });
    const weak = await page.locator("body *:visible").evaluateAll(weakTexts);
    assert.deepEqual(weak, []);
  });
}

test("a screen reader finds tables, names of buttons and what changed", async () => {
  const page = await everythingShown({ viewport: { width: 360, height: 740 } });
  // Cards are tables all the same.
  assert.equal(await page.getByRole("table", { name: /Uploads/ }).count(), 1);
  assert.ok(await page.getByRole("columnheader", { name: "Served" }).count() > 0);
  assert.equal(await page.getByRole("searchbox", { name: /name holds/ }).count(), 1);
  const unnamed = await page.locator("button:visible, input:visible").evaluateAll((elements) =>
    elements.filter((element) => !(element.ariaLabel || element.textContent.trim() ||
      element.labels?.length)).length);
  assert.equal(unnamed, 0);
  const uuid = await server.beginUpload("lab");
  await textWhen(rowOf(page, "uploads", "lab"), (text) => text !== "");
  await server.merge(uuid, clusterSize);
  await textWhen(page.getByRole("status"), (text) => /The upload of lab has ended/.test(text));
});

test("everything can be reached and pressed with the keyboard", async () => {
  const page = await everythingShown({});
  const reached = new Set();
  for (let i = 0; i < 20; ++i) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => {
      const element = document.activeElement;
      return element.ariaLabel ?? element.id ?? element.className;
    }));
  }
  for (const wanted of [`Merge: ${longName}`, `Delete: ${longName}`, "filter"]) {
    assert.ok(reached.has(wanted), wanted);
  }
});

test("figures are as people read them", () => {
  assert.equal(bytes(0), "0 B");
  assert.equal(bytes(999), "999 B");
  assert.equal(bytes(1000), "0.98 KiB");
  assert.equal(bytes(1310720), "1.25 MiB");
  assert.equal(bytes(1023 * 1024), "1.00 MiB");
  assert.equal(bytes(1e12), "931 GiB");
  assert.equal(duration(59.4), "59 s");
  assert.equal(duration(200), "3 min 20 s");
  assert.equal(duration(90000), "1 d 1 h");
  assert.equal(percent(999, 1000), 99);
  assert.equal(percent(1000, 1000), 100);
  assert.equal(percent(9999, 10000), 99);
  assert.equal(percent(0, 0), 0);
});

test("rates are those of the last seconds, and begin anew with the server", () => {
  const rates = new Rates();
  assert.equal(rates.note("a", 5000, 1000), null);
  assert.equal(rates.note("a", 5000, 1000), null); // the same answer twice
  assert.equal(rates.note("a", 7000, 3000), 1000);
  for (let second = 4; second <= 20; ++second) {
    rates.note("a", 7000, second * 1000);
  }
  assert.equal(rates.note("a", 7000, 21000), 0); // what was long ago no longer counts
  assert.equal(rates.note("a", 90, 500), null); // another server
  assert.equal(rates.note("a", 190, 1500), 100);
  assert.equal(rates.note("a", 10, 2500), null); // a counter that fell
});
