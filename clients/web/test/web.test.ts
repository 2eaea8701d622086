import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer } from "../../sdk/test/fakes";
import "../src/app";
import type { SluiceApp } from "../src/app";
import { merge, type SluiceHome } from "../src/pages/home";
import { picture } from "../src/parts/card";
import { ffmpegCommand } from "../src/parts/encoder";
import { modules } from "../src/parts/qr";
import { routeOf, validStream } from "../src/router";
import { httpsAddress } from "../src/server";
import * as token from "../src/token";

beforeEach(() => {
  sessionStorage.clear();
  history.replaceState(null, "", "/");
});

describe("paths", () => {
  it("name pages and streams", () => {
    expect(routeOf("/")).toEqual({ page: "home" });
    expect(routeOf("/watch/a.b-c_1")).toEqual({ page: "watch", stream: "a.b-c_1" });
    expect(routeOf("/publish/demo/")).toEqual({ page: "publish", stream: "demo" });
    expect(routeOf("/recordings")).toEqual({ page: "recordings" });
    expect(routeOf("/recordings/0touaiyyv6j56yyo")).toEqual({ page: "recording", asset: "0touaiyyv6j56yyo" });
    for (const bad of ["/recordings/A", "/recordings/a/b", "/watch", "/watch/", "/watch/a..b", "/watch/a/b", "/watch/%20", "/admin"]) expect(routeOf(bad), bad).toEqual({ page: "missing" });
  });

  it("take the names that the server takes", () => {
    for (const good of ["a", "A-b_c", "x.y.z", "0"]) expect(validStream(good)).toBe(true);
    for (const bad of ["", ".", "a.", ".a", "a b", "ä", "a/b", "a".repeat(129)]) expect(validStream(bad), bad).toBe(false);
  });
});

describe("the token", () => {
  it("leaves the address at once and stays in the tab", () => {
    history.replaceState(null, "", "/watch/demo?x=1#token=secret&t=4");
    token.adopt();
    expect(location.href).not.toContain("secret");
    expect(location.pathname + location.search + location.hash).toBe("/watch/demo?x=1#t=4");
    expect(token.token()).toBe("secret");
  });

  it("of a path is used there, the latest one elsewhere", () => {
    history.replaceState(null, "", "/watch/demo#token=play");
    token.adopt();
    history.replaceState(null, "", "/publish/demo#token=publish");
    token.adopt();
    expect(token.token()).toBe("publish");
    history.replaceState(null, "", "/watch/demo");
    expect(token.token()).toBe("play");
    history.replaceState(null, "", "/");
    expect(token.token()).toBe("publish");
    token.forget();
    expect(token.token()).toBe("");
  });
});

describe("cards", () => {
  const s = (stream: string, since: string, live = true) => ({ stream, since, live, public: true, viewers: 0 });

  it("keep their places; new ones come last, gone ones leave", () => {
    const before = merge([], [s("b", "2"), s("a", "1")]);
    expect(before.map((x) => x.stream)).toEqual(["a", "b"]);
    const after = merge(before, [s("c", "0"), s("b", "2"), s("a", "9"), s("d", "5", false)]);
    expect(after.map((x) => x.stream)).toEqual(["a", "b", "c"]);
    expect(merge(after, [s("c", "0"), s("b", "2")]).map((x) => x.stream)).toEqual(["b", "c"]);
  });

  it("name the picture by its largest layer that flows", () => {
    const layers = [{ width: 320, height: 180, active: true }, { width: 1280, height: 720, active: true }, { width: 1920, height: 1080, active: false }];
    const of = (tracks: unknown[]) => picture({ ...s("a", ""), publisher: { transport: "udp", rtt_ms: 0, bitrate: 0, loss: 0, tracks: tracks as never, health: [] } });
    expect(of([{ kind: "video", codec: "H264", layers }])).toBe("720p · H264");
    expect(of([{ kind: "video", codec: "AV1", layers: [] }])).toBe("AV1");
    expect(of([{ kind: "audio", codec: "Opus", layers: [] }])).toBe("Sound only");
    expect(picture(s("a", ""))).toBe("");
  });
});

it("the FFmpeg command survives any token", () => {
  expect(ffmpegCommand("http://h/whip/x", "a'b")).toContain(`-authorization 'a'\\''b' http://h/whip/x`);
  expect(ffmpegCommand("http://h/whip/x", "")).not.toContain("authorization");
  expect(ffmpegCommand("http://h/whip/x", "t")).toContain("-bf 0");
});

it("the QR code has its finder patterns and its quiet zone", () => {
  const { size, path } = modules("http://10.0.0.2:8080/watch/demo");
  expect((size - 8 - 17) % 4).toBe(0);
  for (const corner of ["M4 4h", `M${size - 5} 4h`, `M4 ${size - 5}h`]) expect(path).toContain(corner);
  expect(path).not.toMatch(/M[0-3] /);
});

it("the https address of a page follows what the server listens on", () => {
  const page = { hostname: "10.0.0.2", pathname: "/publish/x" };
  expect(httpsAddress(":8443", page)).toBe("https://10.0.0.2:8443/publish/x");
  expect(httpsAddress("0.0.0.0:443", page)).toBe("https://10.0.0.2/publish/x");
  expect(httpsAddress("https://live.example", page)).toBe("https://live.example/publish/x");
  expect(httpsAddress("[::]:8443", page)).toBe("https://10.0.0.2:8443/publish/x");
  for (const none of [true, false, "", undefined, 7]) expect(httpsAddress(none, page)).toBe("");
});

describe("the site", () => {
  let app: SluiceApp;
  let server: FakeServer;
  const home = () => app.renderRoot.querySelector<SluiceHome>("sluice-home");
  const turn = async () => {
    await vi.advanceTimersByTimeAsync(0);
    await app.updateComplete;
    await home()?.updateComplete;
  };
  const cards = () => [...(home()?.renderRoot.querySelectorAll(".name") ?? [])].map((n) => n.textContent);

  beforeEach(async () => {
    vi.useFakeTimers();
    server = new FakeServer();
    server.routes["GET /v1/streams"] = () => new Response(JSON.stringify([{ stream: "demo", live: true, public: true, viewers: 1204, since: new Date().toISOString() }]));
    app = document.createElement("sluice-app") as SluiceApp;
    document.body.append(app);
    await turn();
    await turn();
  });
  afterEach(() => {
    app.remove();
    vi.useRealTimers();
  });

  it("lists what is live, and again every two seconds", async () => {
    expect(cards()).toEqual(["demo"]);
    expect(home()!.renderRoot.textContent).toContain("1,204 viewers");
    server.routes["GET /v1/streams"] = () => new Response("[]");
    await vi.advanceTimersByTimeAsync(2000);
    await turn();
    expect(cards()).toEqual([]);
    expect(home()!.renderRoot.textContent).toContain("Nobody is live");
  });

  it("keeps the list and says so when the server is away", async () => {
    server.routes["GET /v1/streams"] = () => Promise.reject(new TypeError("failed"));
    await vi.advanceTimersByTimeAsync(2000);
    await turn();
    expect(cards()).toEqual(["demo"]);
    expect(home()!.renderRoot.textContent).toContain("cannot be reached");
  });

  it("goes to the publish page of a good name, and says what a bad one lacks", async () => {
    const input = home()!.renderRoot.querySelector<HTMLInputElement>("#name")!;
    const submit = () => home()!.renderRoot.querySelector("form")!.dispatchEvent(new Event("submit", { cancelable: true }));
    input.value = "no spaces";
    submit();
    await turn();
    expect(home()!.renderRoot.querySelector("#bad")!.textContent).toContain("Letters, digits");
    input.value = "my-show";
    submit();
    await turn();
    expect(location.pathname).toBe("/publish/my-show");
    expect(app.renderRoot.querySelector("sluice-publish-page")).not.toBeNull();
    expect(document.title).toBe("Publish my-show · Sluice");
  });

  it("asks with a pasted token, also when it came as a whole link", async () => {
    app.renderRoot.querySelector<HTMLInputElement>("#token")!.value = "http://h/watch/x#token=abc";
    app.renderRoot.querySelector("dialog form")!.dispatchEvent(new Event("submit", { cancelable: true }));
    await turn();
    await turn();
    expect(server.asked.at(-1)!.headers.get("Authorization")).toBe("Bearer abc");
    expect(app.renderRoot.querySelector("header")!.textContent).toContain("Token in use");
  });
});
