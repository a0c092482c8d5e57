// SPDX-License-Identifier: Apache-2.0
// What the page shows, and that it moves by itself.

import assert from "node:assert/strict";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { clusterSize, rowOf, TestBrowser, TestServer, textWhen } from "./support.js";

let browser;
let server;
before(async () => { browser = await TestBrowser.start(); });
after(async () => {
  await browser.end();
  assert.deepEqual(browser.problems, []);
});
beforeEach(async () => { server = await TestServer.start(); });
afterEach(async () => {
  await browser.closePages();
  await server.end();
});

/** Loaded once: a reload would forget this. */
async function markLoaded(page) {
  await page.evaluate(() => { window.loadedOnce = true; });
}
async function assertNotReloaded(page) {
  assert.equal(await page.evaluate(() => window.loadedOnce), true);
}

test("tells a newcomer what to do, and shows an image as soon as it is there", async () => {
  const page = await browser.open(server.address);
  await markLoaded(page);
  await page.locator("#images-empty").waitFor();
  assert.match(await page.locator("#images-empty").innerText(), /NAME\.r1/);
  assert.ok((await page.locator("#images-empty").innerText()).includes(server.images));
  assert.ok((await page.locator("#uploads-empty").innerText()).includes(server.address));
  await server.addImage("windows-lab.r1", 5 * 1024 ** 2);
  const row = rowOf(page, "images", "windows-lab");
  assert.match(await textWhen(row, (text) => text !== ""), /5\.00 MiB/);
  await page.locator("#images-empty").waitFor({ state: "hidden" });
  await assertNotReloaded(page);
});

test("shows an upload that goes on, its figures moving without a reload", async () => {
  await server.addImage("windows-lab.r1", 100 * clusterSize);
  const page = await browser.open(server.address);
  await page.locator("#uploads-empty").waitFor();
  await markLoaded(page);
  const uuid = await server.beginUpload("windows-lab");
  const row = rowOf(page, "uploads", "windows-lab");
  await textWhen(row, (text) => text.includes("Open"));
  await server.sendCluster(uuid, 0, 320);
  await textWhen(row, (text) => text.includes("1 cluster") && text.includes("1.25 MiB"));
  let going = true;
  const sending = (async () => {
    for (let cluster = 1; going; ++cluster) {
      await server.sendCluster(uuid, cluster % 100, 320);
      await new Promise((later) => setTimeout(later, 100));
    }
  })();
  const text = await textWhen(row, (now) => now.includes("/s") && now.includes("Receiving"));
  assert.match(text, /[0-9.]+ [KM]iB\/s/);
  const received = Number((await row.locator("[title$='bytes']").getAttribute("title"))
    .replace(/\D/g, ""));
  await page.waitForFunction((least) => Number(document.querySelector(
    "#uploads-rows [title$='bytes']").title.replace(/\D/g, "")) > least, received);
  going = false;
  await sending;
  await textWhen(row, (now) => now.includes("Open"));
  await assertNotReloaded(page);
  assert.ok(!(await page.content()).includes(uuid)); // whoever knows it may send clusters
});

test("moves an upload that ends to the history, with its new revision", async () => {
  await server.addImage("lab.r1", 3 * clusterSize);
  const page = await browser.open(server.address);
  const uuid = await server.beginUpload("lab");
  await server.sendCluster(uuid, 1, 5);
  await textWhen(rowOf(page, "uploads", "lab"), (text) => text !== "");
  await server.merge(uuid, 3 * clusterSize);
  const ended = await textWhen(rowOf(page, "history", "lab"), (text) => text !== "");
  assert.match(ended, /New revision r2/);
  await textWhen(rowOf(page, "images", "lab"), (text) => text.includes("r2 and 1 more"));
  await page.locator("#uploads-empty").waitFor();
});

test("opens an image to its revisions, and leaves it open while figures change", async () => {
  await server.addImage("lab.r1", 4096);
  await server.addImage("lab.r7", 8192);
  const page = await browser.open(server.address);
  const opener = page.getByRole("button", { name: /Revisions of lab/ });
  await opener.focus();
  await page.keyboard.press("Enter");
  const revisions = page.locator("#images-rows tr.revision");
  await textWhen(revisions.nth(1), (text) => text.includes("r1"));
  assert.equal(await opener.getAttribute("aria-expanded"), "true");
  await server.addImage("lab.r9", 8192);
  await textWhen(revisions.nth(0), (text) => text.includes("r9"));
  assert.equal(await opener.evaluate((button) => button === document.activeElement), true);
  await page.keyboard.press("Space");
  await revisions.first().waitFor({ state: "detached" });
});

test("finds images by a part of their name", async () => {
  for (const name of ["Physics/optics.r1", "physics/waves.r2", "chemistry.r1"]) {
    await server.addImage(name, 4096);
  }
  const page = await browser.open(server.address);
  await textWhen(rowOf(page, "images", "chemistry"), (text) => text !== "");
  await page.getByRole("searchbox").fill("PHYSICS/");
  await rowOf(page, "images", "chemistry").waitFor({ state: "detached" });
  assert.equal(await page.locator("#images-rows tr").count(), 2);
  await page.getByRole("searchbox").fill("biology");
  await page.locator("#images-none-match").waitFor();
  await page.getByRole("searchbox").fill("");
  await textWhen(rowOf(page, "images", "chemistry"), (text) => text !== "");
});

test("lists a part of very many images, and more when asked", async () => {
  for (let i = 0; i < 130; ++i) {
    await server.addImage(`image-${String(i).padStart(3, "0")}.r1`, 4096);
  }
  const page = await browser.open(server.address);
  await textWhen(page.locator("#images-more"), (text) => text.includes("100 of 130"));
  assert.equal(await page.locator("#images-rows tr").count(), 100);
  await page.getByRole("button", { name: "Show more" }).click();
  await textWhen(rowOf(page, "images", "image-129"), (text) => text !== "");
  await page.locator("#images-more").waitFor({ state: "hidden" });
});

test("says when the server is away, and goes on when it is back", async () => {
  await server.addImage("lab.r1", 4096);
  await server.beginUpload("lab");
  const page = await browser.open(server.address);
  await textWhen(rowOf(page, "uploads", "lab"), (text) => text !== "");
  await markLoaded(page);
  await server.kill();
  await textWhen(page.locator("#alert"), (text) => text.includes("has not answered since"));
  assert.equal(await page.locator("#link").innerText(), "No answer");
  assert.equal(await page.locator("#uploads-rows button:enabled").count(), 0);
  await rename(join(server.images, "lab.r1"), join(server.images, "lab.r2"));
  await server.run();
  await page.locator("#alert").waitFor({ state: "hidden" });
  await textWhen(rowOf(page, "images", "lab"), (text) => text.includes("r2"));
  await textWhen(rowOf(page, "uploads", "lab"), (text) => text !== "");
  assert.ok(await page.locator("#uploads-rows button:enabled").count() > 0);
  await assertNotReloaded(page);
});

test("asks nothing while nobody looks, and goes on at once when somebody does", async () => {
  const page = await browser.open(server.address);
  await page.locator("#images-empty").waitFor();
  // Headless Chromium never hides a page: the page is told that it is.
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  await page.waitForTimeout(300); // what was under way ends
  let asked = 0;
  page.on("request", () => { ++asked; });
  await page.waitForTimeout(2500);
  assert.equal(asked, 0);
  await server.addImage("late.r1", 4096);
  await hide(false);
  await textWhen(rowOf(page, "images", "late"), (text) => text !== "");
  assert.ok(asked > 0);
});

test("drops an image that is removed", async () => {
  await server.addImage("gone.r1", 4096);
  const page = await browser.open(server.address);
  await textWhen(rowOf(page, "images", "gone"), (text) => text !== "");
  await rm(join(server.images, "gone.r1"));
  await page.locator("#images-empty").waitFor();
});
