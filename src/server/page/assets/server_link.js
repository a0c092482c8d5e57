// SPDX-License-Identifier: Apache-2.0
// Talks to the server: fetches the overview again and again, and sends what a button asks for.

const interval = 1000; // milliseconds from one answer to the next question
const longestPause = 5000; // while the server is away
const patience = 10000; // for one answer
const tokenKey = "netcow-token";

/** What the server answered with another status than 2xx. */
export class Refused extends Error {
  constructor(status, text) {
    super(text || `the server answered with status ${status}`);
    this.status = status;
  }
}

export class ServerLink {
  #timer = 0;
  #running = false;
  #again = false;
  #pause = interval;
  #query = "";

  /**
   * `listener.overview(data)`: what is new. `listener.away(error)`: no answer, it is tried again.
   * `listener.refused(error)`: an answer that is none; status 401 asks for another token.
   */
  constructor(listener) {
    this.listener = listener;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#timer);
      if (!document.hidden) {
        this.listener.resumed();
        this.refresh();
      }
    });
    this.refresh();
  }

  /** Which part of the lists to ask for. */
  ask(parameters) {
    this.#query = new URLSearchParams(parameters).toString();
    this.refresh();
  }

  /** Fetches the overview now. */
  async refresh() {
    if (this.#running) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#running = true;
    const answered = await this.#poll();
    this.#running = false;
    this.#pause = answered ? interval : Math.min(longestPause, this.#pause * 1.5);
    if (this.#again) {
      this.#again = false;
      this.refresh();
    } else if (!document.hidden) {
      this.#timer = setTimeout(() => this.refresh(), this.#pause);
    }
  }

  async #poll() {
    let data;
    try {
      data = await (await this.#fetch(`api/v1/overview?${this.#query}`)).json();
    } catch (error) {
      if (error instanceof Refused) {
        this.listener.refused(error);
      } else {
        this.listener.away(error);
      }
      return false;
    }
    try {
      this.listener.overview(data);
    } catch (error) {
      reportError(error); // a fault of the page; what comes next may be shown all the same
    }
    return true;
  }

  /** Presses a button of an upload; the answer's text. Throws Refused, or TypeError and the like. */
  async act(action, parameters) {
    const answer = await this.#fetch(`api/v1/uploads/${action}`, {
      method: "POST",
      // Pages of other hosts cannot send a field like this without being asked first.
      headers: { "X-Netcow-Page": "1" },
      body: new URLSearchParams(parameters),
    });
    this.refresh();
    return answer.text();
  }

  get hasToken() {
    return sessionStorage.getItem(tokenKey) !== null;
  }
  setToken(token) {
    sessionStorage.setItem(tokenKey, token);
    this.refresh();
  }
  forgetToken() {
    sessionStorage.removeItem(tokenKey);
    this.refresh();
  }

  async #fetch(address, options = {}) {
    const headers = { ...options.headers };
    const token = sessionStorage.getItem(tokenKey);
    if (token !== null) {
      headers.Authorization = `Bearer ${token}`;
    }
    const answer = await fetch(address, {
      ...options,
      headers,
      cache: "no-store",
      credentials: "same-origin", // a proxy in front may ask for a password
      redirect: "error",
      signal: AbortSignal.timeout(patience),
    });
    if (!answer.ok) {
      throw new Refused(answer.status, (await answer.text()).trim().slice(0, 500));
    }
    return answer;
  }
}
