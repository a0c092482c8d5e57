// SPDX-License-Identifier: Apache-2.0
// What became of uploads that have ended.

import { byId, cell, KeyedList, make, row, set, setAttribute, setText, show } from "./dom.js";
import { ago, bytes, count, duration, moment } from "./units.js";

const results = {
  Done: ["New revision", "good"],
  Failed: ["Merge failed", "bad"],
  Deleted: ["Deleted", "idle"],
  Expired: ["Expired", "waiting"],
};

class HistoryRow {
  constructor() {
    this.name = make("span", { className: "name" });
    this.base = make("span", { className: "detail" });
    this.result = make("span", { className: "state" });
    this.message = make("span", { className: "message", hidden: true });
    this.received = cell("Received", "number");
    this.took = cell("Merge took", "number");
    this.owner = cell("Owner", "owner");
    this.ended = cell("Ended");
    this.element = row(
      cell("Image", "whole", this.name, this.base), cell("Result", "whole", this.result, this.message),
      this.received, this.took, this.owner, this.ended);
  }

  update(upload, { now }) {
    const [text, kind] = results[upload.state] ?? [upload.state, "idle"];
    setText(this.name, upload.image);
    setText(this.base, `from r${upload.revision}`);
    setText(this.result, upload.newRevision > 0 ? `${text} r${upload.newRevision}` : text);
    setAttribute(this.result, "data-kind", kind);
    setText(this.message, upload.message ?? "");
    show(this.message, Boolean(upload.message));
    setText(this.received, bytes(upload.bytesReceived));
    set(this.received, "title", `${count(upload.bytesReceived)} bytes`);
    setText(this.took, upload.mergeSeconds === undefined ? "–" : duration(upload.mergeSeconds));
    setText(this.owner, upload.owner || "–");
    setText(this.ended, ago(upload.changedAt, now));
    set(this.ended, "title", moment(upload.changedAt));
  }
}

export class HistorySection {
  #list = new KeyedList(byId("history-rows"), (upload) => upload.key, () => new HistoryRow());

  update({ total, list }, context) {
    this.#list.update(list, context);
    setText(byId("history-count"), total > 0 ? count(total) : "");
    show(byId("history-rows").parentElement, list.length > 0);
    show(byId("history-empty"), list.length === 0);
    show(byId("history-more"), list.length < total);
    setText(byId("history-more"), `${count(list.length)} of ${count(total)}, the newest first`);
  }
}
