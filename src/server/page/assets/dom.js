// SPDX-License-Identifier: Apache-2.0
// Changing the document. Every text goes in as text, never as markup, and what is the same as
// before is not touched: focus, selection and screen readers stay where they are.

export function byId(id) {
  return document.getElementById(id);
}

/** A new element; `properties` are set as they are, `children` are elements or texts. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Sets a property such as `hidden`, `title` or `disabled` if it differs. */
export function set(element, property, value) {
  if (element[property] !== value) {
    element[property] = value;
  }
}

export function show(element, shown) {
  set(element, "hidden", !shown);
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/** A cell of a table; `label` names it where rows are shown as cards. */
export function cell(label, className = "", ...children) {
  const element = make("td", { className }, ...children);
  element.setAttribute("role", "cell");
  element.dataset.label = label;
  return element;
}

export function row(...cells) {
  const element = make("tr", {}, ...cells);
  element.setAttribute("role", "row");
  return element;
}

/**
 * Keeps the children of one element in step with a list: those whose item is still there are kept
 * and updated, others come and go.
 */
export class KeyedList {
  #views = new Map();

  /** `makeView(item)` gives an object with `element` and `update(item, context)`. */
  constructor(parent, keyOf, makeView) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.makeView = makeView;
  }

  update(items, context) {
    const before = this.#views;
    this.#views = new Map();
    for (const item of items) {
      const key = this.keyOf(item);
      const view = before.get(key) ?? this.makeView(item);
      before.delete(key);
      this.#views.set(key, view);
      view.update(item, context);
    }
    for (const view of before.values()) {
      view.element.remove();
    }
    this.#putInOrder();
  }

  /** Moves only what is at a wrong place. */
  #putInOrder() {
    let next = this.parent.firstElementChild;
    for (const { element } of this.#views.values()) {
      if (element === next) {
        next = next.nextElementSibling;
      } else {
        this.parent.insertBefore(element, next);
      }
    }
  }
}
