// How the publisher looks: the preview leads, the form stands beside it, or
// beneath it on a phone. Owned by the publisher.

import { css } from "lit";

export const publisherStyle = css`
  :host {
    display: block;
    container-type: inline-size;
  }
  .grid {
    display: grid;
    gap: var(--s-4) var(--s-6);
    grid-template-columns: minmax(0, 1fr);
  }
  @container (min-width: 860px) {
    .grid {
      grid-template-columns: minmax(0, 1fr) 340px;
      grid-template-rows: auto 1fr; /* a long form pushes nothing down beside it */
    }
    form {
      grid-column: 2;
      grid-row: 1 / 3;
    }
  }
  .stage {
    position: relative;
    aspect-ratio: 16 / 9;
    border-radius: var(--s-radius);
    overflow: hidden;
    background: #12161c;
    color: #fff;
    color-scheme: dark;
  }
  video {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    object-fit: contain;
  }
  video.mirror {
    transform: scaleX(-1);
  }
  .empty {
    position: absolute;
    inset: 0;
    display: grid;
    place-content: center;
    justify-items: center;
    gap: var(--s-2);
    padding: var(--s-4);
    text-align: center;
    overflow: auto;
  }
  .empty h2 {
    font-size: 1.25rem;
  }
  .empty p {
    max-width: 44ch;
    color: #d3d9e2;
  }
  .badge {
    position: absolute;
    top: var(--s-3);
    left: var(--s-3);
    display: inline-flex;
    gap: var(--s-2);
    align-items: center;
    min-height: 28px;
    padding: 0 var(--s-2);
    border-radius: 6px;
    background: rgb(10 12 16 / 0.72);
    font-size: 0.875rem;
  }
  .badge b {
    background: #c01830;
    border-radius: 4px;
    padding: 0 6px;
    font-size: 0.75rem;
    line-height: 20px;
    letter-spacing: 0.04em;
    text-transform: uppercase;
  }
  .below {
    display: grid;
    gap: var(--s-4);
    align-content: start;
    grid-template-columns: minmax(0, 1fr);
  }
  .go {
    width: 100%;
    min-height: 52px;
    font-size: 1.0625rem;
    font-weight: 600;
  }
  fieldset {
    border: 0;
    margin: 0;
    padding: 0;
    min-width: 0;
    display: grid;
    gap: var(--s-3);
  }
  form {
    display: grid;
    gap: var(--s-4);
    align-content: start;
  }
  legend {
    padding: 0;
    margin-bottom: var(--s-2);
    font-weight: 600;
  }
  .sources {
    display: grid;
    grid-template-columns: repeat(3, 1fr);
    gap: var(--s-2);
  }
  .source {
    display: grid;
    justify-items: center;
    align-content: center;
    gap: var(--s-1);
    min-height: 76px;
    padding: var(--s-2) var(--s-1);
    border: 1px solid var(--s-edge);
    border-radius: var(--s-radius);
    background: var(--s-surface);
    text-align: center;
    font-size: 0.8125rem;
    line-height: 1.2;
    color: var(--s-text);
    cursor: pointer;
  }
  .source:hover {
    background: var(--s-sunken);
  }
  .source:has(:checked) {
    border-color: var(--s-accent);
    box-shadow: inset 0 0 0 1px var(--s-accent);
    color: var(--s-accent);
  }
  .source:has(:focus-visible) {
    outline: 2px solid var(--s-accent);
    outline-offset: 2px;
  }
  .source:has(:disabled) {
    opacity: 0.55;
    cursor: default;
  }
  .field {
    display: grid;
    gap: var(--s-1);
  }
  .pair {
    display: grid;
    gap: var(--s-3);
    grid-template-columns: 1fr 1fr;
  }
  details {
    border-top: 1px solid var(--s-line);
  }
  summary {
    min-height: var(--s-touch);
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: var(--s-2);
    cursor: pointer;
    font-weight: 600;
    list-style: none;
  }
  summary::-webkit-details-marker {
    display: none;
  }
  summary::after {
    content: "";
    width: 8px;
    height: 8px;
    margin: 0 4px;
    border: solid var(--s-dim);
    border-width: 0 2px 2px 0;
    transform: rotate(45deg);
  }
  details[open] summary::after {
    transform: rotate(225deg);
  }
  summary span {
    font-weight: 400;
    font-size: 0.875rem;
    color: var(--s-dim);
    margin-left: auto;
  }
  .switch {
    display: flex;
    gap: var(--s-3);
    align-items: center;
    min-height: var(--s-touch);
    color: var(--s-text);
    font-size: 1rem;
    cursor: pointer;
  }
  .switch input {
    width: 20px;
    height: 20px;
    flex: none;
    accent-color: var(--s-accent);
  }
  .notice {
    padding: var(--s-3) var(--s-4);
    border-radius: var(--s-radius);
    background: var(--s-surface);
    border: 1px solid var(--s-line);
    border-left: 4px solid var(--s-warn);
  }
  .notice.bad {
    border-left-color: var(--s-red);
  }
  .notice h3 {
    font-size: 1rem;
  }
  .notice .button {
    margin-top: var(--s-2);
  }
  .trace {
    font-size: 0.8125rem;
    color: var(--s-dim);
    overflow-wrap: anywhere;
  }
  select:disabled {
    opacity: 0.6;
  }
`;
