// A player of the loss matrix for a LiveKit server: the picture is watched by
// LiveKit's own client, which is given, with its defaults (no adaptiveStream, so
// that the whole picture is wanted whatever the size on the page).
//
//   LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… node loadtest/matrix/livekit.mjs --client livekit-client.umd.js
//     [--server http://127.0.0.1:7880] [--media 127.0.0.1:7882] [--listen 127.0.0.1:8090] [--clients folder]
//
// It stands at --listen as the WHIP and WHEP server that the matrix knows.
//   POST /whip/{stream}  publishes into the room of that name by LiveKit's own
//                        signalling: its WHIP endpoint (1.13.5) takes every layer
//                        of a simulcast offer for the lowest one, and drops the rest
//   POST /whep/{stream}  only tells where LiveKit's media is (--media), so that the
//                        matrix puts its relay before it; the page then gives
//                        LiveKit's client that address in the place of each
//                        candidate, and keeps its own candidates from the server
// LiveKit must listen for media at one UDP port, and not for TCP.

import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { launch, obey, post } from "./browser.mjs";

const { values: o } = parseArgs({
  options: {
    client: { type: "string" },
    server: { type: "string", default: "http://127.0.0.1:7880" },
    media: { type: "string", default: "127.0.0.1:7882" },
    listen: { type: "string", default: "127.0.0.1:8090" },
    clients: { type: "string" },
  },
});
const { LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env;
if (!o.client || !key || !secret) throw new Error("--client, LIVEKIT_API_KEY and LIVEKIT_API_SECRET are needed");
const signalling = o.server.replace(/^http/, "ws");

// A token is a JWT (RFC 7519) by HS256 with LiveKit's claims.
function token(room, publisher) {
  const part = (v) => Buffer.from(JSON.stringify(v)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const grant = { room, roomJoin: true, canPublish: publisher, canSubscribe: !publisher };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: key, sub: randomUUID(), nbf: now - 10, exp: now + 6 * 3600, video: grant })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

// What runs in the page, after the client.
function inpage() {
  const { sessions, wall, begin, stamp, show } = window.viewers;
  const publishers = new Map();

  // One address in the place of the server's: UDP only, as the relay is.
  function rewrite(candidate, via) {
    const f = candidate.split(" ");
    if (f[2]?.toLowerCase() !== "udp") return "";
    [f[4], f[5]] = via.split(":");
    return f.join(" ");
  }
  const rewriteAll = (sdp, via) => sdp.replace(/a=(candidate:.*)\r\n/g, (_, c) => (rewrite(c, via) ? `a=${rewrite(c, via)}\r\n` : ""));
  const strip = ({ type, sdp }) => ({ type, sdp: sdp.replace(/a=candidate:.*\r\n/g, "") });

  // A connection whose configuration names a session goes by that session's relay.
  // Its own candidates are not told: a full ICE agent would find a way past it.
  window.RTCPeerConnection = class extends RTCPeerConnection {
    #via;
    #session;
    constructor(c) {
      super(c);
      if (!c?.session) return;
      this.#via = c.via;
      this.#session = c.session;
      sessions.get(c.session)?.pcs.push(this);
    }
    set onicecandidate(f) {
      if (!this.#via) super.onicecandidate = f;
    }
    // Frames are looked at from before the negotiation on: later is too late for
    // Chromium. LiveKit's client takes transforms away that are not its own.
    addTransceiver(...a) {
      const t = super.addTransceiver(...a);
      if (this.#via && t.receiver.track.kind === "video") {
        stamp(this.#session, t.receiver);
        Object.defineProperty(t.receiver, "transform", { get: () => null, set() {} });
      }
      return t;
    }
    addIceCandidate(c) {
      if (!this.#via || !c?.candidate) return super.addIceCandidate(c);
      const candidate = rewrite(c.candidate, this.#via);
      return candidate ? super.addIceCandidate({ candidate, sdpMid: c.sdpMid, sdpMLineIndex: c.sdpMLineIndex }) : Promise.resolve();
    }
    setRemoteDescription(d) {
      return super.setRemoteDescription(this.#via ? { type: d.type, sdp: rewriteAll(d.sdp, this.#via) } : d);
    }
    async createOffer(...a) {
      const d = await super.createOffer(...a);
      return this.#via ? strip(d) : d;
    }
    async createAnswer(...a) {
      const d = await super.createAnswer(...a);
      return this.#via ? strip(d) : d;
    }
  };

  window.watchLiveKit = async (id, url, token, via) => {
    const s = begin(id);
    const room = new window.LivekitClient.Room();
    s.leave = () => room.disconnect();
    room.on("trackSubscribed", (track) => track.attach(show(id, track.kind)));
    for (const event of ["reconnecting", "disconnected"]) room.on(event, () => s.ended || s.record.errors.push(`the client says ${event}`));
    s.record.joined = wall();
    await room.connect(url, token, { rtcConfig: { iceServers: [], session: id, via } });
  };

  // Publishes what an offer says; LiveKit answers text in JSON by JSON.
  window.publishLiveKit = (id, url, token, offer, tracks) =>
    new Promise((done, fail) => {
      const ws = new WebSocket(`${url}/rtc?protocol=15&auto_subscribe=0&access_token=${token}`);
      const say = (m) => ws.readyState === WebSocket.OPEN && ws.send(JSON.stringify(m));
      const alive = setInterval(() => say({ ping: Date.now() }), 5000);
      publishers.set(id, () => {
        say({ leave: { reason: "CLIENT_INITIATED" } });
        ws.close();
      });
      ws.onopen = () => {
        for (const t of tracks) say({ addTrack: t });
        say({ offer: { type: "offer", sdp: offer } });
      };
      ws.onmessage = ({ data }) => {
        const m = typeof data === "string" ? JSON.parse(data) : {}; // what came before our first text is binary
        if (m.answer) done(m.answer.sdp);
        if (m.leave) fail(new Error(`LiveKit says leave: ${JSON.stringify(m.leave)}`));
      };
      ws.onclose = ({ code, reason }) => {
        clearInterval(alive);
        fail(new Error(`the signalling ended: ${code} ${reason}`));
      };
    });

  window.unpublishLiveKit = (id) => {
    publishers.get(id)?.();
    publishers.delete(id);
  };
}

// LiveKit wants to know of tracks before they come. Sizes are those of the
// matrix's media and of its page's canvas.
function tracks(offer) {
  return offer.split(/^m=/m).slice(1).map((section) => {
    const cid = /^a=msid:\S+ (\S+)/m.exec(section)?.[1];
    if (section.startsWith("audio")) return { cid, name: "sound", type: "AUDIO", source: "MICROPHONE", disableDtx: true };
    const three = /^a=simulcast:send (\S+)/m.exec(section)?.[1].split(";").length === 3;
    const sizes = three ? [["LOW", 320, 180], ["MEDIUM", 640, 360], ["HIGH", 1280, 720]] : [["HIGH", 1280, 720]];
    const layers = sizes.map(([quality, width, height]) => ({ quality, width, height }));
    return { cid, name: "picture", type: "VIDEO", source: "CAMERA", width: 1280, height: 720, layers, simulcastCodecs: [{ codec: "h264", cid, layers }] };
  });
}

const [host, port] = o.media.split(":");
const candidate = `a=candidate:1 1 udp 2130706431 ${host} ${port} typ host\r\n`;

async function create(kind, stream, id, offer) {
  if (kind === "whep") return `v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP 0\r\n${candidate}`;
  const answer = await page.evaluate((a) => window.publishLiveKit(...a), [id, signalling, token(stream, true), offer, tracks(offer)]);
  return answer.replace(/a=candidate:.*\r\n/g, "").replace(/^m=.*\r\n(?:c=.*\r\n)?/m, (m) => m + candidate); // media sections are bundled
}

async function answer(req, res) {
  const [, kind, stream, id] = new URL(req.url, "http://x").pathname.split("/");
  if (req.method === "DELETE" && id) {
    await page.evaluate((id) => window.unpublishLiveKit(id), id);
    return res.writeHead(200).end();
  }
  if (req.method !== "POST" || !stream || (kind !== "whip" && kind !== "whep")) return res.writeHead(404).end();
  const chunks = [];
  for await (const c of req) chunks.push(c);
  const session = randomUUID();
  const sdp = await create(kind, stream, session, Buffer.concat(chunks).toString());
  return res.writeHead(201, { "Content-Type": "application/sdp", Location: `/${kind}/${stream}/${session}`, ETag: '"1"' }).end(sdp);
}

const page = await launch(o.clients);
await page.addScriptTag({ path: o.client });
await page.evaluate(`(${inpage})()`);
const gateway = createServer((req, res) => answer(req, res).catch((error) => res.writeHead(502).end(String(error?.message ?? error))));
const [address, at] = o.listen.split(":");
await new Promise((done) => gateway.listen(Number(at), address, done));
await obey(page, {
  view: async (m) => {
    const where = /a=candidate:\S+ \d+ udp \d+ (\S+) (\d+)/.exec(await post(m, "v=0\r\n"));
    const stream = new URL(m.url).pathname.split("/")[2];
    await page.evaluate((a) => window.watchLiveKit(...a), [m.id, signalling, token(stream, false), `${where[1]}:${where[2]}`]);
  },
});
