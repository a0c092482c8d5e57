// SPDX-License-Identifier: Apache-2.0
// Wires the parts together: the overview comes in, each section shows its part of it.

import { Confirmation } from "./confirmation.js";
import { byId, setAttribute, setText, show } from "./dom.js";
import { HistorySection } from "./history_section.js";
import { ImagesSection } from "./images_section.js";
import { Rates } from "./rates.js";
import { ServerLink } from "./server_link.js";
import { bytes, count, duration, rate } from "./units.js";
import { stateText, UploadsSection } from "./uploads_section.js";

const rates = new Rates();
let lastAnswer = null; // time of day, by this machine's clock
let usable = false; // buttons make sense
let states = new Map(); // of uploads, to tell screen readers what changed

const link = new ServerLink({ overview, away, refused, resumed: () => rates.reset() });
const confirmation = new Confirmation(act);
const uploads = new UploadsSection((action, upload) => confirmation.ask(action, upload));
const history = new HistorySection();
const images = new ImagesSection((query) => link.ask(query));

function overview(data) {
  const time = data.milliseconds;
  addRates(data, time);
  usable = true;
  lastAnswer = new Date();
  const context = { now: data.time, usable };
  showSummary(data);
  uploads.update(data.uploads, context);
  images.update(data.images);
  history.update(data.history, context);
  tellNews(data.uploads.list);
  for (const element of document.querySelectorAll(".images-folder")) {
    setText(element, data.server.imagesFolder);
  }
  showLink("live", `Live, up for ${duration(data.server.uptimeSeconds)}`);
  show(byId("alert"), false);
  showParts({ content: true });
}

function addRates(data, time) {
  data.traffic.rate = rates.note("traffic", data.traffic.bytesServed, time);
  for (const upload of data.uploads.list) {
    upload.rate = rates.note(`u ${upload.key}`, upload.bytesReceived, time);
  }
  for (const image of data.images.list) {
    image.rate = rates.note(`i ${image.name}`, image.bytesServed, time);
    for (const revision of image.revisions) {
      revision.rate =
        rates.note(`r ${revision.revision} ${image.name}`, revision.bytesServed, time);
    }
  }
  rates.keepOnly(time);
}

function showSummary({ server, traffic, uploads: going, images: all }) {
  setText(byId("server-host"), location.host);
  setText(byId("sum-clients"), count(traffic.clients));
  setText(byId("sum-rate"), traffic.rate >= 1 ? rate(traffic.rate) : "0 B/s");
  setText(byId("sum-served"), bytes(traffic.bytesServed));
  setText(byId("sum-uploads"), count(going.total));
  setText(byId("sum-images"), count(all.total));
  setText(byId("sum-free"), bytes(server.imagesFreeBytes));
  show(byId("summary"), true);
}

/** What a listener wants to hear: not figures, only what became of uploads. */
function tellNews(list) {
  const now = new Map(list.map((upload) => [upload.key, upload]));
  const news = [];
  for (const upload of list) {
    const before = states.get(upload.key);
    if (before && before.state !== upload.state) {
      news.push(`${upload.image}: ${stateText(upload)[0]}`);
    }
  }
  for (const [key, upload] of states) {
    if (!now.has(key)) {
      news.push(`The upload of ${upload.image} has ended`);
    }
  }
  if (news.length > 0) {
    setText(byId("news"), news.join(". "));
  }
  states = now;
}

async function act(action, parameters, upload) {
  const answer = await link.act(action, parameters);
  setText(byId("news"), `${upload.image}: ${answer}`);
}

function away(error) {
  if (lastAnswer === null) {
    showProblem(`The server does not answer: ${error.message}. It is asked again.`);
  } else {
    showProblem(`The server has not answered since ${lastAnswer.toLocaleTimeString()}. It is ` +
      "asked again; what you see is from then.");
  }
  showLink("away", "No answer");
}

function refused(error) {
  if (error.status === 401) {
    showLink("waiting", "Waiting for a token");
    show(byId("alert"), link.hasToken);
    setText(byId("alert"), "The server does not know this token.");
    showParts({ token: true });
    return;
  }
  showLink("away", `Status ${error.status}`);
  showProblem(`The server answered with an error: ${error.message}`);
}

function showProblem(text) {
  setText(byId("alert"), text);
  show(byId("alert"), true);
  usable = false;
  for (const button of document.querySelectorAll("#uploads-rows button")) {
    button.disabled = true;
  }
  setAttribute(byId("content"), "data-stale", "true");
}

function showLink(state, text) {
  setAttribute(byId("link"), "data-state", state);
  setText(byId("link"), text);
}

function showParts({ content = false, token = false }) {
  if (content) {
    setAttribute(byId("content"), "data-stale", "false");
  }
  show(byId("content"), content);
  show(byId("summary"), content);
  show(byId("forget-token"), link.hasToken && content);
  if (token && byId("token-form").hidden) {
    show(byId("token-form"), true);
    byId("token").focus();
  } else if (!token) {
    show(byId("token-form"), false);
  }
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  link.setToken(byId("token").value.trim());
  byId("token").value = "";
});
byId("forget-token").addEventListener("click", () => link.forgetToken());
for (const element of document.querySelectorAll(".page-address")) {
  setText(element, new URL(".", location.href).href);
}
link.start();
