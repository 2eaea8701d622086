// How the player looks: the picture is the hero, everything lies on it and steps
// back. Owned by the player.

import { css } from "lit";

export const playerStyle = css`
  :host {
    display: block;
    position: relative;
    aspect-ratio: 16 / 9;
    overflow: hidden;
    background: #000;
    border-radius: var(--s-radius);
    color-scheme: dark; /* what lies on a picture is light on dark in both themes */
    container-type: inline-size;
    color: #fff;
    --s-accent: #7ab4ff;
    --s-on-accent: #06172e;
  }
  :host(:fullscreen) {
    border-radius: 0;
    width: 100vw;
    height: 100vh;
    aspect-ratio: auto;
  }
  video,
  .still {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    object-fit: contain;
    background: #000;
  }
  .still {
    pointer-events: none;
    z-index: 2;
  }
  video.front {
    z-index: 1;
  }
  .top,
  .bar,
  .card,
  .thin,
  .menu,
  .sheet,
  .note {
    z-index: 3;
  }
  .top,
  .bar {
    position: absolute;
    left: 0;
    right: 0;
    transition: opacity 0.2s;
  }
  .top,
  .bar .row {
    display: flex;
    align-items: center;
    gap: var(--s-1);
  }
  .top {
    padding: var(--s-2);
  }
  .bar {
    bottom: 0;
    padding: var(--s-8) var(--s-2) var(--s-2);
    background: linear-gradient(transparent, rgb(0 0 0 / 0.75));
  }
  .top {
    top: 0;
    pointer-events: none;
    gap: var(--s-2);
  }
  .top > * {
    pointer-events: auto;
    margin-bottom: auto;
  }
  .quiet .bar {
    opacity: 0;
  }
  .quiet .bar:focus-within {
    opacity: 1;
  }
  .quiet video {
    cursor: none;
  }
  .spacer {
    flex: 1;
  }
  .tool {
    display: inline-grid;
    place-items: center;
    width: var(--s-touch);
    height: var(--s-touch);
    flex: none;
    padding: 0;
    border: 0;
    border-radius: var(--s-radius);
    background: transparent;
    color: #fff;
    cursor: pointer;
  }
  .tool:hover,
  .tool[aria-expanded="true"],
  .tool[aria-pressed="true"] {
    background: rgb(255 255 255 / 0.16);
  }
  .badge {
    display: inline-flex;
    align-items: center;
    gap: var(--s-2);
    min-height: 28px;
    padding: 0 var(--s-2);
    border-radius: 6px;
    background: rgb(10 12 16 / 0.72);
    font-size: 0.875rem;
    white-space: nowrap;
  }
  .badge .mark {
    padding: 0 6px;
    margin-left: -4px;
    border-radius: 4px;
    background: #c01830;
    color: #fff;
    font-weight: 700;
    font-size: 0.75rem;
    letter-spacing: 0.04em;
    line-height: 20px;
    text-transform: uppercase;
  }
  .badge .past {
    background: #4f5866;
    letter-spacing: 0;
  }
  .bar sluice-timeline {
    margin: 0 var(--s-2);
  }
  .tool.text {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 6px;
    width: auto;
    min-width: var(--s-touch);
    padding: 0 var(--s-2);
    font-size: 0.875rem;
    font-weight: 600;
  }
  .home .dot {
    width: 8px;
    height: 8px;
    border-radius: 50%;
    background: #a4adbb;
  }
  .home.on {
    cursor: default;
    background: none;
  }
  .home.on .dot {
    background: #ff5c72;
  }
  .time {
    padding: 0 var(--s-1);
    font-size: 0.875rem;
    white-space: nowrap;
  }
  .time .dim {
    color: #c3cad5;
  }
  .note {
    position: absolute;
    top: 56px;
    left: 50%;
    transform: translateX(-50%);
    max-width: calc(100% - 32px);
    padding: var(--s-2) var(--s-4);
    border-radius: 20px;
    background: rgb(10 12 16 / 0.88);
    font-size: 0.875rem;
    text-align: center;
  }
  .ms {
    min-width: 6ch;
    text-align: right;
  }
  .sound {
    white-space: nowrap;
    display: inline-flex;
    align-items: center;
    gap: var(--s-2);
    min-height: var(--s-touch);
    padding: 0 var(--s-4) 0 var(--s-3);
    border: 0;
    border-radius: 22px;
    background: #fff;
    color: #14181f;
    font-weight: 600;
    cursor: pointer;
  }
  input[type="range"] {
    width: 88px;
    height: var(--s-touch);
    accent-color: #fff;
    margin: 0 var(--s-2) 0 0;
  }
  .thin {
    position: absolute;
    top: 0;
    left: 0;
    right: 0;
    height: 3px;
    overflow: hidden;
    background: rgb(255 255 255 / 0.25);
  }
  .thin::after {
    content: "";
    position: absolute;
    inset: 0 60% 0 0;
    background: var(--s-accent);
    animation: slide 1.4s ease-in-out infinite alternate;
  }
  @keyframes slide {
    to {
      transform: translateX(150%);
    }
  }
  .card {
    position: absolute;
    inset: 0;
    display: grid;
    place-content: safe center center;
    justify-items: center;
    gap: var(--s-2);
    padding: var(--s-4);
    text-align: center;
    background: #12161c;
    overflow: auto;
  }
  .card.over {
    background: rgb(10 12 16 / 0.72);
  }
  .card h2 {
    font-size: 1.25rem;
    line-height: 1.3;
  }
  .card p {
    max-width: 42ch;
    color: #d3d9e2;
  }
  .acts {
    display: flex;
    flex-wrap: wrap;
    gap: var(--s-2);
    justify-content: center;
    margin-top: var(--s-2);
  }
  .trace {
    font-size: 0.8125rem;
    color: #a4adbb;
    border: 0;
    background: none;
    min-height: var(--s-touch);
    cursor: pointer;
    display: inline-flex;
    align-items: center;
    gap: var(--s-2);
    overflow-wrap: anywhere;
  }
  .breath {
    width: 12px;
    height: 12px;
    border-radius: 50%;
    background: var(--s-accent);
    animation: breathe 1.8s ease-in-out infinite alternate;
  }
  @keyframes breathe {
    from {
      opacity: 0.25;
    }
  }
  @container (max-width: 560px) {
    .wide,
    input[type="range"] {
      display: none;
    }
    .menu {
      bottom: var(--s-2);
      max-height: calc(100% - 16px);
    }
    .card h2 {
      font-size: 1.0625rem;
    }
    .card {
      gap: var(--s-1);
      padding: var(--s-2) var(--s-3);
    }
    .card p,
    .card .button {
      font-size: 0.875rem;
    }
  }
  @container (max-width: 340px) {
    .sound {
      gap: var(--s-1);
      padding: 0 var(--s-3) 0 var(--s-2);
    }
    .roomy {
      display: none;
    }
  }
`;
