// Runs in the page before its own scripts: answers WHIP and WHEP with a peer
// connection in the same page, and draws what is watched. The states that a
// picture shall show are set by window.fake.

(() => {
  const fake = { whep: "live", whip: "live", events: [], status: {}, streams: [], hold: false, feeds: new Set(), pcs: [] };
  window.fake = Object.assign(fake, window.fakeInit ?? {});
  const real = window.fetch.bind(window);
  const problem = (status, detail) => new Response(JSON.stringify({ type: "urn:sluice:problem:x", title: detail, status, detail, instance: "0f3a9c61e2b7d845" }), { status, headers: { "Content-Type": "application/problem+json" } });
  const json = (v) => new Response(JSON.stringify(v), { headers: { "Content-Type": "application/json" } });

  fake.tell = (name, data) => {
    fake.events.push([name, data]);
    for (const c of fake.feeds) c.enqueue(frame(name, data));
  };
  fake.endFeeds = () => {
    for (const c of fake.feeds) c.close();
    fake.feeds.clear();
    fake.gone = true;
  };
  const frame = (name, data) => new TextEncoder().encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

  // A landscape with a sun and a clock: something to look at that a codec has work with.
  // Its upper edge carries the time of drawing in 32 black and white cells.
  fake.canvas = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const c = canvas.getContext("2d", { alpha: false });
    const draw = () => {
      const now = performance.timeOrigin + performance.now();
      const sky = c.createLinearGradient(0, 0, 0, 720);
      sky.addColorStop(0, "#274b6d");
      sky.addColorStop(0.6, "#e0a070");
      c.fillStyle = sky;
      c.fillRect(0, 0, 1280, 720);
      c.fillStyle = "#ffe2b0";
      c.beginPath();
      c.arc(640 + 300 * Math.sin(now / 4000), 330 + 40 * Math.cos(now / 4000), 70, 0, 7);
      c.fill();
      for (const [y, colour, k] of [[430, "#3f5f60", 90], [520, "#2b4645", 60], [610, "#182c2b", 40]]) {
        c.fillStyle = colour;
        c.beginPath();
        c.moveTo(0, 720);
        for (let x = 0; x <= 1280; x += 20) c.lineTo(x, y + k * Math.sin(x / 170 + y + now / 9000) * 0.6);
        c.lineTo(1280, 720);
        c.fill();
      }
      const code = Math.floor(now) >>> 0;
      for (let i = 0; i < 32; i++) {
        c.fillStyle = (code >>> i) & 1 ? "#fff" : "#000";
        c.fillRect(i * 40, 0, 40, 24);
      }
    };
    draw();
    if (fake.real) setInterval(draw, 1000 / 30); // a real server has no ticker; nothing is hidden there
    else new Worker("/ticker.js").onmessage = draw;
    return canvas;
  };

  // An hour that may be gone back to.
  fake.playlist = () => `#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:${new Date(Date.now() - 3600_000).toISOString()}\n#EXTINF:3600.0,\n1.m4s\n`;
  fake.still = () => new Promise((done) => {
    const small = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    small.getContext("2d").drawImage((fake.drawn ??= fake.canvas()), 0, 0, 320, 180);
    small.toBlob((blob) => done(new Response(blob)), "image/jpeg");
  });

  async function gathered(pc) {
    if (pc.iceGatheringState !== "complete") await new Promise((done) => pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && done()));
    return pc.localDescription.sdp;
  }

  async function whep(offer) {
    const pc = new RTCPeerConnection();
    fake.pcs.push(pc);
    await pc.setRemoteDescription({ type: "offer", sdp: offer });
    if (fake.whep === "live") {
      for (const t of fake.media().getTracks()) {
        const tr = pc.getTransceivers().find((x) => x.receiver.track.kind === t.kind);
        await tr.sender.replaceTrack(t);
        tr.direction = "sendonly";
      }
    }
    for (const t of pc.getTransceivers()) for (const e of t.getHeaderExtensionsToNegotiate()) if (e.uri.includes("abs-capture-time")) (e.direction = "sendrecv"), t.setHeaderExtensionsToNegotiate(t.getHeaderExtensionsToNegotiate().map((x) => (x.uri === e.uri ? e : x)));
    await pc.setLocalDescription(await pc.createAnswer());
    return gathered(pc);
  }

  async function whip(offer) {
    const pc = new RTCPeerConnection();
    fake.pcs.push(pc);
    await pc.setRemoteDescription({ type: "offer", sdp: offer });
    await pc.setLocalDescription(await pc.createAnswer());
    return gathered(pc);
  }

  // Against a real server only the camera is ours.
  fake.media = () => {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const out = audio.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    return new MediaStream([fake.canvas().captureStream(30).getVideoTracks()[0], out.stream.getAudioTracks()[0]]);
  };
  if (fake.real) {
    if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => fake.media();
    return;
  }

  window.fetch = async (input, init = {}) => {
    const url = new URL(input, location.href);
    const method = init.method ?? "GET";
    const path = url.pathname;
    if (fake.down && /^\/(v1|whip|whep)/.test(path)) throw new TypeError("Failed to fetch");
    if (path === "/v1/time") return json({ now: "", unix_ms: performance.timeOrigin + performance.now() + (fake.clockAhead ?? 0) });
    if (path === "/v1/server") return json({ version: "dev", https: fake.https ?? true, ice: [] });
    if (path === "/v1/streams") return fake.hold ? new Promise(() => {}) : fake.listStatus ? problem(fake.listStatus, "the token has expired") : json(fake.streams);
    if (path.endsWith("/thumbnail.jpg")) return fake.still();
    if (path.startsWith("/v1/streams/")) return json(fake.status);
    if (path === "/v1/assets") return fake.hold ? new Promise(() => {}) : fake.listStatus ? problem(fake.listStatus, "the token has expired") : json({ assets: fake.assets ?? [], next: fake.next, upload_to: fake.uploadTo });
    if (path.startsWith("/v1/assets/") && !path.split("/")[4]) return fake.assetStatus ? problem(fake.assetStatus, "no") : json({ ...fake.assets[0], id: path.split("/")[3] });
    if (path.startsWith("/v1/assets/")) return new Response(null, { status: 404 });
    if (path.startsWith("/live/")) return fake.past ? new Response(path.endsWith("index.m3u8") ? "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/media.m3u8" : fake.playlist()) : problem(404, "there is no such stream");
    if (path.startsWith("/v1/uploads")) return new Promise(() => {});
    if (method === "DELETE") return new Response(null, { status: 200 });
    const kind = /^\/(whip|whep)\//.exec(path)?.[1];
    if (!kind) return real(input, init);
    if (path.endsWith("/events") && method === "POST") return new Response(null, { status: 201, headers: { Location: `${path}/f1` } });
    if (path.includes("/events/")) return fake.gone ? problem(404, "gone") : new Response(new ReadableStream({ start: (c) => (fake.feeds.add(c), fake.events.forEach(([n, d]) => c.enqueue(frame(n, d)))) }), { headers: { "Content-Type": "text/event-stream" } });
    if (path.endsWith("/layers")) return json({});
    if (method === "PATCH") return problem(404, "there is no such session");
    const mode = fake[kind];
    if (mode === "never") return new Promise(() => {});
    if (typeof mode === "number") return problem(mode, { 401: "the token has expired", 403: "the token does not allow this", 409: "nobody publishes this stream now", 503: "the server has no room for another session now" }[mode] ?? "no");
    const answer = await (kind === "whep" ? whep(init.body) : whip(init.body));
    const session = `${path}/n1aBcDeFgHiJkLmNoPqRsT`;
    const headers = new Headers({ Location: session, ETag: '"a"', "Content-Type": "application/sdp" });
    if (kind === "whep") {
      headers.append("Link", `<${session}/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,inactive,layers,viewercount,reconnect"`);
      headers.append("Link", `<${session}/layers>; rel="urn:ietf:params:whep:ext:core:layer"`);
    }
    return new Response(answer, { status: 201, headers });
  };
})();
