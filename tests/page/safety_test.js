// SPDX-License-Identifier: Apache-2.0
// Hostile names do nothing, no other host is asked, and pages of other sites press no button.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { clusterSize, rowOf, TestBrowser, TestServer, textWhen } from "./support.js";

const hostileNames = [
  "<img src=x onerror=\"window.hit=1\">",
  "\"><script>window.hit=1<\u2215script>",
  "'-window.hit=1-'",
  "javascript:window.hit=1",
  "{{constructor.constructor('window.hit=1')()}}",
  "\u202egnp.exe",
  "&lt;b&gt;",
];

let browser;
let server;
before(async () => { browser = await TestBrowser.start(); });
after(async () => { await browser.end(); });
beforeEach(async () => { server = await TestServer.start(); });
afterEach(async () => {
  await browser.closePages();
  await server.end();
});

test("names of images are text, whatever they hold", async () => {
  for (const name of hostileNames) {
    await server.addImage(`${name}.r1`, clusterSize);
    await server.beginUpload(name);
  }
  const page = await browser.open(server.address);
  await textWhen(page.locator("#uploads-count"), (text) => text === String(hostileNames.length));
  for (const section of ["uploads", "images"]) {
    const shown = await page.locator(`#${section} .name`).allTextContents();
    assert.deepEqual(shown.sort(), [...hostileNames].sort());
  }
  await page.locator("#uploads button[data-action=delete]").first().click();
  await page.getByRole("dialog").waitFor();
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.locator("main img, main script, main b").count(), 0);
  assert.deepEqual(browser.problems, []);
});

test("asks no other host, and runs nothing that is not the page's own", async () => {
  browser.hosts.clear();
  const page = await browser.open(server.address);
  await page.locator("#images-empty").waitFor();
  assert.deepEqual([...browser.hosts], [new URL(server.address).host]);
  const answer = await fetch(server.address);
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.text = "window.hit = 1";
      document.head.append(script);
    } catch {
      // refused as early as here
    }
    return window.hit === 1;
  });
  assert.equal(ran, false);
});

test("a page of another site changes nothing", async () => {
  await server.addImage("lab.r1", clusterSize);
  const uuid = await server.beginUpload("lab");
  const overview = await (await fetch(`${server.address}api/v1/overview`)).json();
  const { key } = overview.uploads.list[0];
  const other = createServer((request, response) =>
    response.writeHead(200, { "Content-Type": "text/html" }).end("<title>other</title>"));
  await new Promise((ready) => other.listen(0, "127.0.0.1", ready));
  try {
    // "localhost" is another site than 127.0.0.1; a form needs no consent of the server.
    const page = await browser.open(`http://localhost:${other.address().port}/`);
    for (const [path, fields] of [
      ["v1/file/create", { imageName: "lab", revision: 1, bitfieldSize: 40 }],
      ["v1/file/merge", { uuid, originalFileSize: 4096, newFileSize: 4096 }],
      ["api/v1/uploads/delete", { key }],
    ]) {
      const answered = page.waitForResponse((response) => response.url().includes(path));
      await page.evaluate(([action, values]) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action });
        for (const [name, value] of Object.entries(values)) {
          form.append(Object.assign(document.createElement("input"), { name, value }));
        }
        document.body.append(form);
        form.submit();
      }, [server.address + path, fields]);
      assert.equal((await answered).status(), 403, path);
      await page.waitForURL((url) => url.href.includes(path));
      await page.goto(`http://localhost:${other.address().port}/`);
    }
    const read = await page.evaluate((address) =>
      fetch(address).then(() => "read", () => "refused"), `${server.address}api/v1/overview`);
    assert.equal(read, "refused");
    const pressed = await page.evaluate((address) => fetch(address, {
      method: "POST", headers: { "X-Netcow-Page": "1" }, body: "key=1",
    }).then(() => "pressed", () => "refused"), `${server.address}api/v1/uploads/delete`);
    assert.equal(pressed, "refused");
  } finally {
    other.closeAllConnections();
    other.close();
  }
  const after = await (await fetch(`${server.address}api/v1/overview`)).json();
  assert.equal(after.uploads.total, 1);
  assert.equal(after.uploads.list[0].state, "Active");
});

test("no page of another site can show this one in a frame", async () => {
  const answer = await fetch(server.address);
  assert.match(answer.headers.get("content-security-policy"), /frame-ancestors 'none'/);
  const page = await browser.open(server.address);
  await page.locator("#images-empty").waitFor();
  assert.equal(await rowOf(page, "images", "x").count(), 0);
});
