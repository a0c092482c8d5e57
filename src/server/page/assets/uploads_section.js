// SPDX-License-Identifier: Apache-2.0
// The uploads that are going on: a row each, with its buttons.

import { byId, cell, KeyedList, make, row, set, setAttribute, setText, show } from "./dom.js";
import { ago, bytes, count, duration, moment, percent, rate } from "./units.js";

const buttonTexts = { merge: "Merge", retry: "Merge again", cancel: "Cancel", delete: "Delete" };

/** The state in words, and how it is coloured. */
export function stateText(upload) {
  switch (upload.state) {
    case "Copying":
      return ["Beginning", "idle"];
    case "Active":
      return upload.rate >= 1 ? ["Receiving", "busy"] : ["Open", "idle"];
    case "Merging":
      if (upload.cancelRequested) {
        return ["Cancelling the merge", "waiting"];
      }
      return upload.queuePosition > 0
        ? [`Waiting to merge, place ${upload.queuePosition}`, "waiting"]
        : [`Merging, ${percent(upload.mergedClusters, upload.totalClusters)} %`, "busy"];
    case "Failed":
      return ["Merge failed", "bad"];
    default:
      return [upload.state, "idle"];
  }
}

class UploadRow {
  constructor(upload, onAction) {
    this.onAction = onAction;
    this.name = make("span", { className: "name" });
    this.base = make("span", { className: "detail" });
    this.state = make("span", { className: "state" });
    this.progress = make("progress", { hidden: true });
    this.message = make("span", { className: "message", hidden: true });
    this.received = make("span");
    this.clusters = make("span", { className: "detail" });
    this.rate = cell("Rate", "number");
    this.owner = cell("Owner", "owner");
    this.activity = cell("Active");
    this.buttons = cell("Actions", "whole buttons");
    this.element = row(
      cell("Image", "whole", this.name, this.base),
      cell("State", "whole", this.state, this.progress, this.message),
      cell("Received", "number", make("span", {}, this.received, this.clusters)),
      this.rate, this.owner, this.activity, this.buttons);
    this.element.dataset.upload = upload.key;
  }

  update(upload, { now, usable }) {
    setText(this.name, upload.image);
    setText(this.base, `r${upload.revision}, ${bytes(upload.baseSize)}`);
    const [text, kind] = stateText(upload);
    setText(this.state, text);
    setAttribute(this.state, "data-kind", kind);
    this.#showProgress(upload);
    setText(this.message, upload.message ?? "");
    show(this.message, Boolean(upload.message));
    setText(this.received, bytes(upload.bytesReceived));
    set(this.received, "title", `${count(upload.bytesReceived)} bytes`);
    setText(this.clusters, `${count(upload.totalClusters)} cluster${upload.totalClusters === 1 ? "" : "s"}`);
    setText(this.rate, rate(upload.rate));
    setText(this.owner, upload.owner || "–");
    setText(this.activity, ago(upload.lastActivityAt, now));
    set(this.activity, "title", `${moment(upload.lastActivityAt)}; began ` +
      `${moment(upload.createdAt)}, ${duration(now - upload.createdAt)} ago`);
    this.#showButtons(upload, usable);
  }

  #showProgress(upload) {
    const merging = upload.state === "Merging" && !(upload.queuePosition > 0);
    show(this.progress, merging);
    if (merging) {
      set(this.progress, "max", Math.max(1, upload.totalClusters));
      set(this.progress, "value", upload.mergedClusters);
      setAttribute(this.progress, "aria-label", `Merge of ${upload.image}`);
    }
  }

  #showButtons(upload, usable) {
    const wanted = upload.actions.map((action) =>
      action === "merge" && upload.state === "Failed" ? "retry" : action);
    const present = [...this.buttons.children].map((button) => button.dataset.action);
    if (present.join() !== wanted.join()) {
      this.buttons.replaceChildren(...wanted.map((action) => this.#makeButton(action)));
    }
    for (const button of this.buttons.children) {
      set(button, "disabled", !usable);
    }
    this.upload = upload;
  }

  #makeButton(action) {
    const button = make("button", { type: "button", textContent: buttonTexts[action] });
    button.dataset.action = action;
    if (action === "delete" || action === "cancel") {
      button.className = "danger";
    }
    button.setAttribute("aria-label", `${buttonTexts[action]}: ${this.name.textContent}`);
    button.addEventListener("click", () =>
      this.onAction(action === "retry" ? "merge" : action, this.upload));
    return button;
  }
}

export class UploadsSection {
  #list;

  /** `onAction(action, upload)` is called when a button is pressed. */
  constructor(onAction) {
    this.#list = new KeyedList(byId("uploads-rows"), (upload) => upload.key,
      (upload) => new UploadRow(upload, onAction));
  }

  update({ total, list }, context) {
    this.#list.update(list, context);
    setText(byId("uploads-count"), total > 0 ? count(total) : "");
    show(byId("uploads-rows").parentElement, list.length > 0);
    show(byId("uploads-empty"), list.length === 0);
    show(byId("uploads-more"), list.length < total);
    setText(byId("uploads-more"), `${count(list.length)} of ${count(total)}, the newest first`);
  }
}
