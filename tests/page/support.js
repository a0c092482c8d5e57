// SPDX-License-Identifier: Apache-2.0
// A real `netcow serve`, a real Chromium, and an upload client that sends what it is told.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

// The packages lie in the build folder, see run.sh.
const { chromium } = createRequire(process.env.NETCOW_PAGE_PACKAGES)("playwright-core");

// How long anything may take, in milliseconds; on a busy machine much takes seconds.
const patience = 60000;

export const blockSize = 4096;
export const clusterSize = 320 * blockSize;

/** A module of the page that needs no other one and no browser. */
export async function importAsset(name) {
  const file = new URL(`../../src/server/page/assets/${name}`, import.meta.url);
  // Not by its path: node takes a .js file there for one of its old modules.
  return import(`data:text/javascript;base64,${(await readFile(file)).toString("base64")}`);
}

async function freePort() {
  const probe = createServer();
  await new Promise((ready) => probe.listen(0, "127.0.0.1", ready));
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  return port;
}

/** `netcow serve` over a folder of its own; keeps its ports over a restart. */
export class TestServer {
  #process = null;

  static async start(options = []) {
    const server = new TestServer();
    server.options = options;
    server.folder = await mkdtemp(join(tmpdir(), "netcow-page-"));
    server.images = join(server.folder, "images");
    await mkdir(server.images);
    server.httpPort = await freePort();
    server.blocksPort = await freePort();
    server.address = `http://127.0.0.1:${server.httpPort}/`;
    await server.run();
    return server;
  }

  async run() {
    this.#process = spawn(process.env.NETCOW_PROGRAM, [
      "serve", "--images", this.images, "--listen", `127.0.0.1:${this.blocksPort}`,
      "--http", `127.0.0.1:${this.httpPort}`, ...this.options,
    ], { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    this.#process.stderr.on("data", (text) => (log += text));
    this.#process.on("exit", () => (this.log = log));
    for (;;) {
      assert.equal(this.#process.exitCode, null, `the server ended: ${log}`);
      try {
        await fetch(this.address);
        return;
      } catch {
        await new Promise((later) => setTimeout(later, 20)); // it cannot tell when it listens
      }
    }
  }

  async kill() {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) {
      const ended = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill("SIGKILL");
      await ended;
    }
  }

  async end() {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async addImage(fileName, size) {
    const path = join(this.images, fileName);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, Buffer.alloc(size, 7));
  }

  /** A call of the upload API as a client of the ecosystem makes it; the answer's text. */
  async call(path, form, headers = {}) {
    const answer = await fetch(`${this.address}v1/file/${path}`, {
      method: "POST",
      body: new URLSearchParams(form).toString(),
      headers: { "Content-Type": "application/x-www-form-urlencoded", ...headers },
    });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.text();
  }

  beginUpload(imageName, headers) {
    return this.call("create", { imageName, revision: 1, bitfieldSize: 40 }, headers);
  }

  /** Sends a cluster with its first `blocks` blocks changed. */
  async sendCluster(uuid, cluster, blocks, headers = {}) {
    const body = Buffer.alloc(40 + blocks * blockSize, 9);
    for (let bit = 0; bit < 320; ++bit) {
      const mask = 1 << bit % 8;
      body[bit >> 3] = bit < blocks ? body[bit >> 3] | mask : body[bit >> 3] & ~mask;
    }
    const answer = await fetch(
      `${this.address}v1/file/update?uuid=${uuid}&clusterindex=${cluster}`,
      { method: "POST", body, headers });
    assert.ok(answer.ok, `update: ${answer.status} ${await answer.clone().text()}`);
  }

  merge(uuid, size) {
    return this.call("merge", { uuid, originalFileSize: size, newFileSize: size });
  }
}

/** Chromium, and what went wrong in the pages it showed. */
export class TestBrowser {
  hosts = new Set();
  problems = [];
  #contexts = [];

  static async start() {
    const browser = new TestBrowser();
    browser.browser = await chromium.launch({
      executablePath: process.env.NETCOW_CHROMIUM,
      args: process.getuid() === 0 ? ["--no-sandbox"] : [],
    });
    return browser;
  }

  /** Opens an address in a context of its own. */
  async open(address, options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 900 },
      ...options });
    const page = await context.newPage();
    this.#contexts.push(context);
    page.setDefaultTimeout(patience);
    page.on("request", (request) => this.hosts.add(new URL(request.url()).host));
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("dialog", (dialog) => {
      this.problems.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("console", (message) => {
      // Answers that the tests ask for with other statuses are reported as errors too.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        this.problems.push(message.text());
      }
    });
    await page.goto(address);
    return page;
  }

  /** Closes all pages; what was wrong in them stays in `problems`. */
  async closePages() {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  async end() {
    await this.browser.close();
  }
}

/** The text of an element once `check` holds for it. */
export async function textWhen(locator, check) {
  let text = "";
  for (const end = Date.now() + patience; Date.now() < end;) {
    text = (await locator.count()) > 0 ? await locator.first().innerText() : "";
    if (check(text)) {
      return text;
    }
    await new Promise((later) => setTimeout(later, 50));
  }
  assert.fail(`it stayed: ${text}`);
}

/** The row of an upload or an image, by the name that it shows. */
export function rowOf(page, section, name) {
  return page.locator(`#${section} tbody tr`).filter({
    has: page.getByText(name, { exact: true }),
  });
}
