import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import "../src/ui";
import type { SluicePublisher } from "../src/ui/publisher";
import { FakePC, type FakeServer, FakeStream, install, settle } from "./fakes";

interface FakeTrack extends EventTarget {
  kind: string;
  stopped: boolean;
  stop(): void;
}

function track(kind: string): FakeTrack {
  const t = Object.assign(new EventTarget(), { kind, stopped: false, contentHint: "", getSettings: () => ({}), stop: () => void (t.stopped = true) });
  return t;
}

let server: FakeServer;
let publisher: SluicePublisher;
let opened: FakeTrack[];
let asked: MediaStreamConstraints[];
let devices: EventTarget & { getUserMedia(c: MediaStreamConstraints): Promise<unknown> };

const find = <E extends Element>(selector: string) => publisher.renderRoot.querySelector<E & HTMLElement>(selector)!;
const text = () => publisher.renderRoot.textContent!.replace(/\s+/g, " ");
const turn = async () => {
  await settle();
  await publisher.updateComplete;
  await settle();
};

async function mount(): Promise<void> {
  publisher = document.createElement("sluice-publisher");
  Object.assign(publisher, { src: "/whip/demo", stream: "demo", token: "t" });
  document.body.append(publisher);
  await turn();
}

async function goLive(): Promise<void> {
  find<HTMLButtonElement>("button.go").click();
  await turn();
  FakePC.last.become("connected");
  await turn();
}

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  server = install();
  server.joins("/whip/demo", false);
  opened = [];
  asked = [];
  const give = (...kinds: string[]) => {
    const tracks = kinds.map(track);
    opened.push(...tracks);
    return new FakeStream(tracks);
  };
  devices = Object.assign(new EventTarget(), {
    enumerateDevices: async () => [{ kind: "videoinput", deviceId: "cam2", label: "Desk camera" }, { kind: "audioinput", deviceId: "mic1", label: "Headset" }],
    getUserMedia: async (c: MediaStreamConstraints) => (asked.push(c), give(...(c.audio ? ["audio"] : []), ...(c.video ? ["video"] : []))),
    getDisplayMedia: async (c: MediaStreamConstraints) => (asked.push(c), give("video")),
  });
  vi.stubGlobal("isSecureContext", true);
  Object.defineProperty(navigator, "mediaDevices", { value: devices, configurable: true });
  Object.defineProperty(navigator, "permissions", { value: { query: async () => ({ state: "prompt" }) }, configurable: true });
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", { value: null, writable: true, configurable: true });
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
  vi.stubGlobal("AudioContext", class {
    createAnalyser = () => ({ fftSize: 0, getFloatTimeDomainData: () => undefined });
    createMediaStreamSource = () => ({ connect: () => undefined });
    close = async () => undefined;
  });
});
afterEach(() => {
  publisher.remove();
  vi.useRealTimers();
});

describe("<sluice-publisher>", () => {
  it("goes live with one press, camera and microphone in three layers", async () => {
    await mount();
    expect(opened).toEqual([]); // nothing is opened before somebody asks
    await goLive();
    expect(publisher.getAttribute("state")).toBe("live");
    expect(asked[0]!.video).toMatchObject({ height: { ideal: 720 } });
    expect(FakePC.last.transceivers[1]!.init.sendEncodings).toHaveLength(3);
    expect(find("button.go").textContent).toContain("Stop");
  });

  it("stops with a DELETE and keeps the preview; leaving the page releases the devices", async () => {
    await mount();
    await goLive();
    find<HTMLButtonElement>("button.go").click();
    await turn();
    expect(server.saw("DELETE /whip/demo/s1")).toHaveLength(1);
    expect(publisher.getAttribute("state")).toBe("idle");
    expect(opened.some((t) => t.stopped)).toBe(false);
    publisher.remove();
    expect(opened.every((t) => t.stopped)).toBe(true);
  });

  it("says what the server says of the uplink, with its advice", async () => {
    const health = [{ code: "b_frames", text: "the encoder sends B-frames", advice: "turn them off", level: "warning" }];
    server.routes["GET /v1/streams/demo"] = () => new Response(JSON.stringify({ stream: "demo", live: true, public: true, viewers: 3, epoch: 1, publisher: { transport: "udp", loss: 0, tracks: [], health } }));
    await mount();
    await goLive();
    await vi.advanceTimersByTimeAsync(3000);
    await turn();
    const uplink = find<HTMLElement>("sluice-uplink") as unknown as { renderRoot: ShadowRoot; updateComplete: Promise<unknown> };
    await uplink.updateComplete;
    expect(uplink.renderRoot.textContent!.replace(/\s+/g, " ")).toContain("The encoder sends B-frames. Turn them off.");
    expect(text()).toContain("3 viewers");
  });

  it("says once that the uplink loses packets, and offers a bitrate that fits", async () => {
    const health = [{ code: "uplink_loss", text: "The uplink loses 6 % of packets.", advice: "Try a cable, or lower the bitrate.", level: "warning" }];
    server.routes["GET /v1/streams/demo"] = () => new Response(JSON.stringify({ stream: "demo", live: true, public: true, viewers: 0, epoch: 1, publisher: { transport: "udp", loss: 0.06, tracks: [], health } }));
    await mount();
    await goLive();
    await vi.advanceTimersByTimeAsync(3000);
    await turn();
    const uplink = find<HTMLElement>("sluice-uplink") as unknown as { renderRoot: ShadowRoot };
    const words = uplink.renderRoot.textContent!.replace(/\s+/g, " ");
    expect(words.match(/6 %/g)).toHaveLength(1);
    expect(words).toContain("Lower to 1.3 Mbit/s");
  });

  it("lowers the bitrate on air when asked to", async () => {
    await mount();
    await goLive();
    find("sluice-uplink").dispatchEvent(new CustomEvent("lower", { detail: 1_200_000 }));
    await turn();
    const { encodings } = FakePC.last.transceivers[1]!.sender.parameters as { encodings: RTCRtpEncodingParameters[] };
    expect(encodings.at(-1)!.maxBitrate).toBe(1_200_000);
    expect(find<HTMLSelectElement>("#bitrate").value).toBe("1200000");
  });

  it("changes the microphone on air without a new session", async () => {
    await mount();
    await goLive();
    const select = find<HTMLSelectElement>("#microphone");
    select.value = "mic1";
    select.dispatchEvent(new Event("change"));
    await turn();
    expect(asked[1]!.audio).toEqual({ deviceId: { exact: "mic1" } });
    expect(FakePC.last.transceivers[0]!.sender.track).toBe(opened[2]);
    expect(opened.slice(0, 2).every((t) => t.stopped)).toBe(true);
    expect(server.saw("POST /whip/demo")).toHaveLength(1);
  });

  it("shows a screen sharply, and goes off air when sharing is stopped in the browser's bar", async () => {
    await mount();
    find<HTMLInputElement>('input[value="screen"]').click();
    await turn();
    await goLive();
    expect((FakePC.last.transceivers.find((t) => t.kind === "video")!.sender.track as { contentHint: string }).contentHint).toBe("detail");
    opened.find((t) => t.kind === "video")!.dispatchEvent(new Event("ended"));
    await turn();
    expect(publisher.getAttribute("state")).toBe("idle");
    expect(opened.every((t) => t.stopped)).toBe(true);
  });

  it("goes live without sound where there is no microphone", async () => {
    const real = devices.getUserMedia;
    devices.getUserMedia = (c) => (c.audio ? Promise.reject(new DOMException("", "NotFoundError")) : real(c));
    await mount();
    await goLive();
    expect(FakePC.last.transceivers.map((t) => t.kind)).toEqual(["video"]);
  });

  it("drops a camera that opens after something else was chosen", async () => {
    let give = () => {};
    const real = devices.getUserMedia;
    devices.getUserMedia = (c) => new Promise((done) => (give = () => done(real(c))));
    await mount();
    void publisher.preview();
    await turn();
    find<HTMLInputElement>('input[value="screen"]').click();
    await turn();
    give();
    await turn();
    expect(publisher.capture).toBeUndefined();
    expect(opened.every((t) => t.stopped)).toBe(true);
    expect(find<HTMLButtonElement>("button.go").disabled).toBe(false);
  });

  it("says what to do when the browser was told not to share", async () => {
    devices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
    await mount();
    find<HTMLButtonElement>("button.go").click();
    await turn();
    expect(text()).toContain("Allow camera and microphone in the address bar");
    expect(server.asked.filter((a) => a.method === "POST")).toEqual([]);
  });

  it("names the https address where plain http gives no camera", async () => {
    vi.stubGlobal("isSecureContext", false);
    await mount();
    publisher.secureUrl = "https://10.0.0.2:8443/publish/demo";
    await turn();
    expect(text()).toContain("Browsers give cameras only to https pages and to localhost. Open https://10.0.0.2:8443/publish/demo instead.");
    expect(find<HTMLButtonElement>("button.go").disabled).toBe(true);
  });

  it("says why the server refused, and lets one take a stream back", async () => {
    server.routes["POST /whip/demo"] = () => new Response(JSON.stringify({ detail: "somebody else publishes", instance: "tr9" }), { status: 409, headers: { "Content-Type": "application/problem+json" } });
    await mount();
    find<HTMLButtonElement>("button.go").click();
    await turn();
    expect(text()).toContain("Somebody else publishes this stream");
    expect(text()).toContain("409 · tr9");
    server.joins("/whip/demo", false);
    [...publisher.renderRoot.querySelectorAll<HTMLButtonElement>(".notice button")].find((b) => b.textContent === "Take it back")!.click();
    await turn();
    FakePC.last.become("connected");
    await turn();
    expect(publisher.getAttribute("state")).toBe("live");
  });

  it("remembers what was chosen, and nothing that this browser cannot do", async () => {
    localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H999", bitrate: 4_000_000, source: "camera", simulcast: false, height: 7 }));
    await mount();
    expect(publisher.settings).toMatchObject({ codec: "H264", bitrate: 4_000_000, simulcast: false, height: 720 });
  });

  it("labels every control", async () => {
    await mount();
    for (const control of publisher.renderRoot.querySelectorAll<HTMLElement>("select, input")) {
      const labelled = control.closest("label") ?? publisher.renderRoot.querySelector(`label[for="${control.id}"]`);
      expect(labelled?.textContent!.trim(), control.outerHTML).toBeTruthy();
    }
  });
});
