// A real Firefox for stories, headless, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/). Pages have the
// few calls that stories need; whoever opens one closes it with the browser.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { eventually } from "./house.mjs";

const prefs = {
  "media.navigator.streams.fake": true, // a camera and a microphone that are always there
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  "media.peerconnection.ice.loopback": true, // Firefox gathers on no loopback interface otherwise
  "media.gmp-manager.updateEnabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.aboutwelcome.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "app.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

/** binary is what is called Firefox here; Debian's is firefox-esr. */
const binary = () => process.env.FIREFOX || ((process.env.PATH ?? "").split(":").some((d) => existsSync(join(d, "firefox-esr"))) ? "firefox-esr" : "firefox");

/** openFirefox starts headless Firefox with a fake camera and microphone and a profile of its own. */
export async function openFirefox() {
  const profile = mkdtempSync(join(tmpdir(), "sluice-firefox-"));
  writeFileSync(join(profile, "user.js"), Object.entries(prefs).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(""));
  const browser = spawn(binary(), ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0", "about:blank"], {
    stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: profile },
  });
  let said = "";
  browser.stderr.on("data", (b) => (said += b));
  browser.once("error", (error) => (said += error.message));
  const ended = new Promise((done) => browser.once("close", done));
  const close = async () => {
    browser.kill("SIGKILL"); // nothing of it is kept
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const [, address] = await eventually("Firefox listens", () => /WebDriver BiDi listening on (\S+)/.exec(said), 30000);
    const call = await connect(`${address}/session`);
    const { capabilities } = await call("session.new", { capabilities: {} });
    return { version: capabilities.browserVersion, open: (script, ...args) => openPage(call, script, args), close };
  } catch (error) {
    await close();
    throw new Error(`${error.message}\n${said}`);
  }
}

/** connect returns what sends a command and waits for its result. */
async function connect(address) {
  const socket = new WebSocket(address);
  await new Promise((done, fail) => socket.once("open", done).once("error", fail));
  const waiting = new Map();
  let last = 0;
  socket.on("message", (message) => {
    const { id, type, result, error, message: why } = JSON.parse(message);
    const w = waiting.get(id);
    waiting.delete(id);
    if (type === "error") w?.fail(new Error(`${error}: ${why}`));
    else w?.done(result);
  });
  socket.once("close", () => {
    for (const { fail } of waiting.values()) fail(new Error("Firefox is gone"));
  });
  return (method, params = {}) => new Promise((done, fail) => {
    waiting.set(++last, { done, fail });
    socket.send(JSON.stringify({ id: last, method, params }), (error) => error && fail(error));
  });
}

/** openPage opens a tab; the script, if there is one, runs before those of each page. */
async function openPage(call, script, args) {
  const { context } = await call("browsingContext.create", { type: "tab" });
  if (script) await call("script.addPreloadScript", { functionDeclaration: `() => (${script})(...${JSON.stringify(args)})`, contexts: [context] });
  /** evaluate runs a function in the page; arguments and result are JSON. */
  const evaluate = async (fn, ...values) => {
    const { result, exceptionDetails } = await call("script.callFunction", {
      functionDeclaration: `async (values) => JSON.stringify(await (${fn})(...JSON.parse(values)))`,
      arguments: [{ type: "string", value: JSON.stringify(values) }], awaitPromise: true, target: { context },
    });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.value === undefined ? undefined : JSON.parse(result.value);
  };
  return {
    evaluate,
    goto: (url) => call("browsingContext.navigate", { context, url, wait: "complete" }),
    /** click presses the first button, also of components, whose text is that. */
    click: (text) => eventually(`there is a button ${text}`, () => evaluate((text) => {
      const find = (root) => {
        for (const e of root.querySelectorAll("*")) {
          const found = e.localName === "button" && !e.disabled && e.textContent.trim().toLowerCase() === text ? e : e.shadowRoot && find(e.shadowRoot);
          if (found) return found;
        }
      };
      const button = find(document);
      button?.click();
      return button !== undefined;
    }, text.toLowerCase())),
  };
}
