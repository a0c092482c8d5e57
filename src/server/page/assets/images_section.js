// SPDX-License-Identifier: Apache-2.0
// The images: a row for each name, which opens to a row for each revision.

import { byId, cell, KeyedList, make, row, set, setAttribute, setText, show } from "./dom.js";
import { bytes, count, rate } from "./units.js";

const firstLimit = 100;
const mostImages = 2000; // more than anybody reads; the filter finds the others

/** The figures that a name and a revision have alike. */
class FigureCells {
  constructor() {
    this.size = cell("Size", "number");
    this.clients = cell("Clients", "number");
    this.served = cell("Served", "number");
    this.rate = cell("Rate", "number");
    this.all = [this.size, this.clients, this.served, this.rate];
  }

  update(figures) {
    setText(this.size, bytes(figures.size));
    set(this.size, "title", `${count(figures.size)} bytes`);
    setText(this.clients, count(figures.clients));
    setAttribute(this.clients, "data-active", String(figures.clients > 0));
    setText(this.served, bytes(figures.bytesServed));
    set(this.served, "title", `${count(figures.bytesServed)} bytes`);
    setText(this.rate, rate(figures.rate));
  }
}

class NameRow {
  constructor() {
    this.name = make("span", { className: "name" });
    this.opener = make("button", { type: "button", className: "opener" });
    this.single = make("span");
    this.figures = new FigureCells();
    this.element = row(
      cell("Name", "whole", this.name), cell("Revision", "whole", this.opener, this.single),
      ...this.figures.all);
  }

  update({ image, open, toggle }) {
    const newest = image.revisions[0];
    setText(this.name, image.name);
    const several = image.revisionCount > 1;
    show(this.opener, several);
    show(this.single, !several);
    setText(this.single, `r${newest.revision}`);
    setText(this.opener, `r${newest.revision} and ${count(image.revisionCount - 1)} more`);
    setAttribute(this.opener, "aria-expanded", String(open));
    setAttribute(this.opener, "aria-label",
      `Revisions of ${image.name}: r${newest.revision} and ${image.revisionCount - 1} more`);
    this.opener.onclick = toggle;
    this.figures.update({ ...image, size: newest.size });
  }
}

class RevisionRow {
  constructor() {
    this.revision = make("span");
    this.figures = new FigureCells();
    this.element = row(cell("Name", "nested"), cell("Revision", "whole", this.revision),
      ...this.figures.all);
    this.element.className = "revision";
  }

  update({ revision }) {
    setText(this.revision, `r${revision.revision}`);
    this.figures.update(revision);
  }
}

/** Rows of both kinds in one list, in the order in which they stand. */
function rowsOf(images, opened, toggle) {
  const rows = [];
  for (const image of images) {
    const open = opened.has(image.name);
    rows.push({ key: `n${image.name}`, image, open, toggle: () => toggle(image.name) });
    for (const revision of open ? image.revisions : []) {
      rows.push({ key: `r${revision.revision} ${image.name}`, revision });
    }
  }
  return rows;
}

export class ImagesSection {
  #opened = new Set();
  #limit = firstLimit;
  #latest = null;

  /** `onQuery({ filter, limit })` is called when other images are to be shown. */
  constructor(onQuery) {
    this.list = new KeyedList(byId("images-rows"), (item) => item.key,
      (item) => (item.image ? new NameRow() : new RevisionRow()));
    const ask = () => onQuery({ filter: byId("filter").value.trim(), limit: this.#limit });
    byId("filter").addEventListener("input", () => {
      this.#limit = firstLimit;
      ask();
    });
    byId("images-show-more").addEventListener("click", () => {
      this.#limit = Math.min(mostImages, this.#limit * 4);
      ask();
    });
    ask();
  }

  update(images) {
    this.#latest = images;
    const { total, matching, list } = images;
    this.list.update(rowsOf(list, this.#opened, (name) => this.#toggle(name)));
    setText(byId("images-count"), total > 0 ? count(total) : "");
    show(byId("filter"), total > 0);
    show(byId("images-rows").parentElement, list.length > 0);
    show(byId("images-empty"), total === 0);
    show(byId("images-none-match"), total > 0 && matching === 0);
    show(byId("images-more"), list.length < matching);
    setText(byId("images-more").firstElementChild, `${count(list.length)} of ${count(matching)}`);
    show(byId("images-show-more"), list.length < Math.min(matching, mostImages));
  }

  #toggle(name) {
    if (!this.#opened.delete(name)) {
      this.#opened.add(name);
    }
    this.update(this.#latest);
  }
}
