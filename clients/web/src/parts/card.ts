// One live stream as a card. Promises a fixed height and tabular figures, so that
// nothing moves when numbers change. Pure; owned by the home page.

import { format, icon, largest, type StreamStatus } from "@sluice/sdk";
import { css, html, nothing, type TemplateResult } from "lit";
import { t } from "../text";
import "./picture";

export const cardStyle = css`
  .cards {
    list-style: none;
    margin: 0;
    padding: 0;
    display: grid;
    gap: var(--s-4);
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 280px), 1fr));
  }
  .card {
    display: block;
    border: 1px solid var(--s-line);
    border-radius: var(--s-radius);
    background: var(--s-surface);
    color: var(--s-text);
    text-decoration: none;
    overflow: hidden;
  }
  a.card:hover {
    border-color: var(--s-accent);
  }
  .tile {
    position: relative;
    aspect-ratio: 16 / 9;
    display: grid;
    place-items: center;
    background: #161b22;
    color: #6f7b8c;
    font-size: 3rem;
    font-weight: 700;
  }
  .tile .mark {
    position: absolute;
    top: var(--s-2);
    left: var(--s-2);
    padding: 0 6px;
    border-radius: 4px;
    background: #c01830;
    color: #fff;
    font-size: 0.75rem;
    font-weight: 700;
    line-height: 20px;
    letter-spacing: 0.04em;
    text-transform: uppercase;
  }
  .tile .mark.calm {
    background: #4f5866;
    letter-spacing: 0;
    text-transform: none;
  }
  .tile .kind {
    position: absolute;
    right: var(--s-2);
    bottom: var(--s-2);
    padding: 0 6px;
    border-radius: 4px;
    background: rgb(10 12 16 / 0.8);
    color: #fff;
    font-size: 0.8125rem;
    font-weight: 400;
    line-height: 22px;
  }
  .text {
    padding: var(--s-3) var(--s-4);
    height: 76px;
  }
  .name {
    font-weight: 600;
    white-space: nowrap;
    overflow: hidden;
    text-overflow: ellipsis;
  }
  .facts {
    display: flex;
    justify-content: space-between;
    gap: var(--s-4);
    color: var(--s-dim);
    font-size: 0.875rem;
  }
  .facts span {
    display: inline-flex;
    align-items: center;
    gap: var(--s-1);
    white-space: nowrap;
  }
  .ghost .tile,
  .ghost .text {
    background: var(--s-sunken);
  }
  .ghost {
    animation: ghost 1.2s ease-in-out infinite alternate;
  }
  @keyframes ghost {
    to {
      opacity: 0.55;
    }
  }
`;

/** picture says what a stream sends: "720p · H264", or that it is sound only. */
export function picture(s: StreamStatus): string {
  const video = largest(s);
  if (!video) return s.publisher?.tracks.length ? t("home.audio") : "";
  const size = format.size(video.layer?.width ?? 0, video.layer?.height ?? 0);
  return [size, video.codec].filter(Boolean).join(" · ");
}

// The server makes a new one every ten seconds.
const pictureAge = 10_000;

/** card shows one stream; now in Unix milliseconds. */
export function card(s: StreamStatus, now: number, token = ""): TemplateResult {
  const age = s.since ? format.age(now - Date.parse(s.since)) : "";
  const kind = picture(s);
  return html`<a class="card" href="/watch/${s.stream}" aria-label=${t("home.watch", { stream: s.stream })}>
    <div class="tile">
      <span aria-hidden="true">${s.stream.slice(0, 1).toUpperCase()}</span>
      ${largest(s) ? html`<sluice-picture .src=${`/v1/streams/${encodeURIComponent(s.stream)}/thumbnail.jpg`} .token=${token} .refresh=${pictureAge}></sluice-picture>` : nothing}
      <span class="mark">${"Live"}</span>
      ${kind ? html`<span class="kind">${kind}</span>` : nothing}
    </div>
    <div class="text">
      <div class="name">${s.stream}</div>
      <div class="facts">
        <span>${icon("people", 18)}${t("home.viewers", { n: s.viewers })}</span>
        ${age ? html`<span title=${t("home.age", { age })}>${icon("clock", 18)}${age}</span>` : nothing}
      </div>
    </div>
  </a>`;
}
