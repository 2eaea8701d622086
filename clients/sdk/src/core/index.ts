// The core: WHIP, WHEP and what belongs to them, without dependencies.
// Promises no DOM but the WebRTC and media calls themselves. Whoever builds an
// own player starts here.

export * from "./assets";
export * from "./captions";
export * from "./capture";
export * from "./condition";
export { Emitter } from "./emitter";
export * from "./errors";
export * from "./handover";
export * from "./hls";
export { type Link, iceServers, parseLinks, request } from "./http";
export * from "./latency";
export { type LayerOption, readLayers } from "./layers";
export { Ballistics, Listener } from "./level";
export * from "./program";
export * from "./publishing";
export type { Track, Tracks } from "./renditions";
export * from "./rtp";
export { EventParser, type ServerEvent, subscribe } from "./sse";
export { findSound, readSounds, titleOf } from "./sounds";
export * from "./stats";
export * from "./status";
export * from "./storyboard";
export * from "./time";
export * from "./uploading";
export * from "./verdict";
export * from "./viewing";
export * from "./way";
export * from "./whep";
export * from "./whip";
