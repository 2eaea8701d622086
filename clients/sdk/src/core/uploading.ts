// Uploading one file in parts: /v1/uploads. Promises that what arrived is never sent
// again, also after the page was closed, and that a part that fails is tried again.
// Owned by whoever shows the progress.

import type { Asset } from "./assets";
import { Emitter } from "./emitter";
import { fromFailure, SluiceError, whyOf } from "./errors";
import { request } from "./http";
import { pause } from "./sse";
import type { Server } from "./status";

interface Part {
  number: number;
  size: number;
  sha256?: string;
  url?: string;
}

interface Upload {
  id: string;
  type: string;
  part_size: number;
  complete: boolean;
  parts: Part[];
}

/** UploadingEvents are what an uploading tells: the part of the file that arrived, from 0 to 1, and its end. */
export interface UploadingEvents {
  progress: number;
  done: Asset;
  failed: SluiceError;
}

// More at once gain nothing on one connection.
const lanes = 3;
const pauses = [0, 1000, 3000, 8000, 15_000, 30_000];

/** typeOf is the media type of a file, by its name where the browser does not know. */
export function typeOf(file: { name: string; type: string }): string {
  const byName: Record<string, string> = { mp4: "video/mp4", m4v: "video/mp4", mov: "video/quicktime", webm: "video/webm", mkv: "video/x-matroska", ts: "video/mp2t", m4a: "audio/mp4", mp3: "audio/mpeg" };
  return file.type || (byName[file.name.split(".").pop()?.toLowerCase() ?? ""] ?? "application/octet-stream");
}

/** Uploading sends one file; it stands under the rights of a stream. memory keeps what is under way, by file. */
export class Uploading extends Emitter<UploadingEvents> {
  readonly file: File;
  #server: Server;
  #stream: string | undefined;
  #memory: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  #life = new AbortController();
  #id = "";
  #sent = new Map<number, number>(); // bytes by part

  constructor(server: Server, file: File, memory?: Pick<Storage, "getItem" | "setItem" | "removeItem">, stream?: string) {
    super();
    this.#stream = stream;
    this.#server = server;
    this.file = file;
    this.#memory = memory;
  }

  /** start goes on where it was left, or begins. */
  async start(): Promise<void> {
    try {
      const upload = (await this.#resume()) ?? (await this.#begin());
      this.#id = upload.id;
      this.#keep(upload.id);
      await this.#parts(upload);
      const asset = (await (await this.#ask("POST", `/v1/uploads/${upload.id}/complete`)).json()) as Asset;
      this.#keep("");
      this.emit("done", asset);
    } catch (cause) {
      const error = fromFailure(cause);
      if (error.why !== "aborted") this.emit("failed", error);
    }
  }

  /** pause stops sending; a new Uploading of the same file goes on. */
  pause(): void {
    this.#life.abort();
  }

  /** cancel stops for good and frees what arrived. */
  cancel(): void {
    this.#life.abort();
    this.#keep("");
    const url = new URL(`/v1/uploads/${this.#id}`, this.#server.api).href;
    if (this.#id) void request(url, { method: "DELETE", token: this.#server.token }).catch(() => undefined); // the server drops it by itself in time
  }

  async #resume(): Promise<Upload | undefined> {
    const id = this.#memory?.getItem(this.#key);
    if (!id) return undefined;
    try {
      return (await (await this.#ask("GET", `/v1/uploads/${id}`)).json()) as Upload;
    } catch (cause) {
      const { why } = fromFailure(cause);
      if (why !== "missing" && why !== "forbidden") throw cause;
      this.#keep("");
      return undefined;
    }
  }

  async #begin(): Promise<Upload> {
    const { name, size } = this.file;
    const title = name.replace(/\.[A-Za-z0-9]{2,4}$/, "");
    return (await (await this.#ask("POST", "/v1/uploads", { name: name.slice(0, 200), size, type: typeOf(this.file), title: title.slice(0, 200), stream: this.#stream })).json()) as Upload;
  }

  async #parts(upload: Upload): Promise<void> {
    const waiting = upload.parts.filter((p) => !p.sha256);
    for (const p of upload.parts) if (p.sha256) this.#sent.set(p.number, p.size);
    this.#tell();
    const lane = async () => {
      for (let p = waiting.shift(); p; p = waiting.shift()) await this.#part(upload, p);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  async #part(upload: Upload, part: Part): Promise<void> {
    const from = (part.number - 1) * upload.part_size;
    const blob = this.file.slice(from, from + part.size);
    for (let tries = 0; ; tries++) {
      try {
        if (!part.url) throw new SluiceError("network");
        await this.#put(part.url, upload.type, blob, part.number);
        this.#sent.set(part.number, part.size);
        return this.#tell();
      } catch (cause) {
        const error = fromFailure(cause);
        const old = error.why === "forbidden"; // its address has expired
        if (error.why === "aborted" || tries >= pauses.length - 1 || !(error.retry || old)) throw error;
        await pause(Math.max(error.retryAfter, pauses[tries]!), this.#life.signal);
        if (old) part.url = ((await (await this.#ask("GET", `/v1/uploads/${upload.id}`)).json()) as Upload).parts[part.number - 1]?.url;
      }
    }
  }

  // XMLHttpRequest, as fetch tells nothing of what was sent.
  #put(url: string, type: string, blob: Blob, number: number): Promise<void> {
    return new Promise((done, fail) => {
      const xhr = new XMLHttpRequest();
      const abort = () => xhr.abort();
      this.#life.signal.addEventListener("abort", abort, { once: true });
      xhr.open("PUT", new URL(url, this.#server.api).href);
      xhr.setRequestHeader("Content-Type", type);
      xhr.upload.onprogress = (e) => (this.#sent.set(number, e.loaded), this.#tell());
      xhr.onabort = () => fail(new SluiceError("aborted"));
      xhr.onerror = () => fail(new SluiceError("network"));
      xhr.onload = () => (xhr.status < 300 ? done() : fail(new SluiceError(whyOf(xhr.status), { status: xhr.status, detail: xhr.responseText.slice(0, 200) })));
      xhr.onloadend = () => this.#life.signal.removeEventListener("abort", abort);
      if (this.#life.signal.aborted) return fail(new SluiceError("aborted"));
      xhr.send(blob);
    });
  }

  #ask(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    return request(new URL(path, this.#server.api).href, { method, token: this.#server.token, signal: this.#life.signal, headers, body: body === undefined ? undefined : JSON.stringify(body), timeout: 30_000 });
  }

  #tell(): void {
    const sent = [...this.#sent.values()].reduce((sum, n) => sum + n, 0);
    this.emit("progress", this.file.size ? Math.min(1, sent / this.file.size) : 1);
  }

  get #key(): string {
    return `sluice.upload:${this.file.name}:${this.file.size}:${this.file.lastModified}`;
  }

  #keep(id: string): void {
    try {
      if (id) this.#memory?.setItem(this.#key, id);
      else this.#memory?.removeItem(this.#key);
    } catch {
      // Then it begins anew after the page was closed.
    }
  }
}
