// SPDX-License-Identifier: Apache-2.0
// The question before a button does its work.

import { byId, set, setText, show } from "./dom.js";
import { bytes, count } from "./units.js";

const questions = {
  merge: {
    title: (upload) => `Merge the changes of ${upload.image}?`,
    text: (upload) => `They become the revision after r${upload.revision}, which stays as it is. ` +
      "What a client that is still connected sends later is refused.",
    yes: "Merge",
  },
  cancel: {
    title: (upload) => `Cancel the merge of ${upload.image}?`,
    text: () => "No new revision is made. What was received is kept, and can be merged later.",
    yes: "Cancel the merge",
    no: "Go on merging",
  },
  delete: {
    title: (upload) => `Delete the upload of ${upload.image}?`,
    text: (upload) => `${bytes(upload.bytesReceived)} that were received are deleted from this ` +
      "server and cannot be had back. Images stay as they are.",
    yes: "Delete",
  },
};

export class Confirmation {
  #dialog = byId("confirm");
  #action = "";
  #upload = null;

  /** `act(action, parameters)` does it; what it throws is shown in the dialog. */
  constructor(act) {
    this.act = act;
    byId("confirm-no").addEventListener("click", () => this.#dialog.close());
    this.#dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#confirmed();
    });
  }

  ask(action, upload) {
    this.#action = action;
    this.#upload = upload;
    const question = questions[action];
    setText(byId("confirm-title"), question.title(upload));
    setText(byId("confirm-text"), question.text(upload));
    setText(byId("confirm-yes"), question.yes);
    setText(byId("confirm-no"), question.no ?? "Back");
    set(byId("confirm-yes"), "className", action === "merge" ? "primary" : "danger");
    show(byId("confirm-error"), false);
    this.#offerSizes(action === "merge", upload);
    this.#dialog.showModal();
    byId("confirm-no").focus();
  }

  /** What the client would say with its own request; only it knows whether the image was resized. */
  #offerSizes(shown, upload) {
    show(byId("confirm-sizes"), shown);
    byId("new-size").required = shown;
    byId("visible-size").required = shown;
    byId("new-size").value = String(upload.newFileSize ?? upload.baseSize);
    byId("visible-size").value = String(upload.originalFileSize ?? upload.baseSize);
    setText(byId("confirm-sizes-hint"), upload.newFileSize !== undefined
      ? "As the client asked for it."
      : `As the base, which has ${count(upload.baseSize)} bytes. Change this only when the image ` +
        "was made larger or smaller.");
  }

  async #confirmed() {
    const parameters = { key: this.#upload.key };
    if (this.#action === "merge") {
      parameters.originalFileSize = byId("visible-size").value;
      parameters.newFileSize = byId("new-size").value;
    }
    set(byId("confirm-yes"), "disabled", true);
    try {
      await this.act(this.#action, parameters, this.#upload);
      this.#dialog.close();
    } catch (error) {
      setText(byId("confirm-error"), error.message);
      show(byId("confirm-error"), true);
    } finally {
      set(byId("confirm-yes"), "disabled", false);
    }
  }
}
