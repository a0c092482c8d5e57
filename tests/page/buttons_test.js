// SPDX-License-Identifier: Apache-2.0
// Buttons do their work, and say so when it cannot be done.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { clusterSize, rowOf, TestBrowser, TestServer, textWhen } from "./support.js";

let browser;
let server;
let page;
before(async () => { browser = await TestBrowser.start(); });
after(async () => {
  await browser.end();
  assert.deepEqual(browser.problems, []);
});
beforeEach(async () => {
  server = await TestServer.start();
  await server.addImage("lab.r1", 3 * clusterSize);
  page = await browser.open(server.address);
});
afterEach(async () => {
  await browser.closePages();
  await server.end();
});

async function uploadOf(name) {
  const uuid = await server.beginUpload(name);
  await server.sendCluster(uuid, 0, 3);
  await textWhen(rowOf(page, "uploads", name), (text) => text.includes("1 cluster"));
  return uuid;
}

const press = (name) => page.locator("#uploads").getByRole("button", { name }).click();
const confirm = (name) => page.getByRole("dialog").getByRole("button", { name, exact: true }).click();

test("merge makes a new revision", async () => {
  await uploadOf("lab");
  await press("Merge: lab");
  assert.equal(await page.getByLabel("Size of the new image").inputValue(),
    String(3 * clusterSize));
  await confirm("Merge");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await textWhen(rowOf(page, "history", "lab"), (text) => text.includes("New revision r2"));
  await textWhen(rowOf(page, "images", "lab"), (text) => text.includes("r2 and 1 more"));
});

test("merge takes the sizes that a person gives, and says why it does not", async () => {
  await uploadOf("lab");
  await press("Merge: lab");
  await page.getByLabel("Bytes of the base that stay visible").fill(String(99 * clusterSize));
  await confirm("Merge");
  const error = await textWhen(page.locator("#confirm-error"), (text) => text !== "");
  assert.match(error, /originalFileSize is larger than the image/);
  await page.getByLabel("Bytes of the base that stay visible").fill("8192");
  await page.getByLabel("Size of the new image").fill("12288");
  await confirm("Merge");
  const row = rowOf(page, "images", "lab");
  await textWhen(row, (text) => text.includes("12.0 KiB"));
});

test("delete removes the upload after a question", async () => {
  const uuid = await uploadOf("lab");
  await press("Delete: lab");
  await confirm("Back");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await press("Delete: lab");
  await confirm("Delete");
  await textWhen(rowOf(page, "history", "lab"), (text) => text.includes("Deleted"));
  await page.locator("#uploads-empty").waitFor();
  await assert.rejects(server.sendCluster(uuid, 1, 1), /404/);
});

test("a question is left with Escape, and the keyboard is where it was", async () => {
  await uploadOf("lab");
  const button = page.getByRole("button", { name: "Delete: lab" });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.ok(await button.evaluate((element) => element === document.activeElement));
});

test("a merge that failed says why and can be asked for again", async () => {
  const uuid = await uploadOf("lab");
  await rm(join(server.images, "lab.r1"));
  await server.merge(uuid, 3 * clusterSize);
  const row = rowOf(page, "uploads", "lab");
  await textWhen(row, (text) => text.includes("Merge failed") && text.includes("lab.r1"));
  await server.addImage("lab.r1", 3 * clusterSize);
  await press("Merge again: lab");
  await confirm("Merge");
  await textWhen(rowOf(page, "history", "lab"), (text) => text.includes("New revision r2"));
});

test("an upload that is gone meanwhile is no trap", async () => {
  await uploadOf("lab");
  await press("Delete: lab");
  await server.kill();
  await server.run(); // knows no key that an earlier one gave
  await confirm("Delete");
  const error = await textWhen(page.locator("#confirm-error"), (text) => text !== "");
  assert.match(error, /no such upload any more/);
  await page.keyboard.press("Escape");
  await textWhen(rowOf(page, "uploads", "lab"), (text) => text.includes("Open"));
});

test("a token is asked for when the server wants one, and kept for the tab alone", async () => {
  await uploadOf("lab");
  // What a server with --token-file answers.
  await page.route("**/api/v1/**", (route) =>
    route.request().headers().authorization === "Bearer sesame" ? route.continue()
      : route.fulfill({ status: 401, body: "no token, or one that is not known" }));
  await page.getByLabel("Token").fill("wrong");
  await page.keyboard.press("Enter");
  await textWhen(page.locator("#alert"), (text) => text.includes("does not know this token"));
  assert.equal(await page.locator("#content").isVisible(), false);
  await page.getByLabel("Token").fill("sesame");
  await page.keyboard.press("Enter");
  await press("Delete: lab");
  await confirm("Delete");
  await textWhen(rowOf(page, "history", "lab"), (text) => text.includes("Deleted"));
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.getByRole("button", { name: "Forget the token" }).click();
  await page.getByLabel("Token").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});
