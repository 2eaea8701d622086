// How a recording's page looks. Owned by that page.

import { css } from "lit";

export const recordingStyle = css`
  .wrap {
    padding-top: 0;
  }
  .stage {
    /* The whole picture and its title fit the window, whatever its height. */
    width: min(100%, calc((100dvh - 220px) * 16 / 9));
    min-width: min(100%, 480px);
    margin: 0 auto;
    display: grid;
    gap: var(--s-2);
  }
  video {
    aspect-ratio: 16 / 9;
    width: 100%;
    border-radius: var(--s-radius);
    background: #000;
  }
  .hole {
    aspect-ratio: 16 / 9;
    display: grid;
    place-content: center;
    padding: var(--s-4);
    border-radius: var(--s-radius);
    background: #12161c;
    color: #fff;
    text-align: center;
  }
  .hole p {
    max-width: 42ch;
    color: #d3d9e2;
  }
  .hole progress {
    margin-top: var(--s-3);
    width: min(280px, 80%);
  }
  .title {
    display: flex;
    align-items: center;
    gap: var(--s-2);
    padding-top: var(--s-2);
    min-height: 52px;
  }
  .title h1 {
    font-size: 1.25rem;
  }
  .tool {
    border-color: transparent;
    background: transparent;
    padding: 0;
    color: var(--s-dim);
  }
  .facts {
    display: flex;
    flex-wrap: wrap;
    gap: 0 var(--s-4);
    color: var(--s-dim);
    font-size: 0.875rem;
  }
  .acts {
    display: flex;
    flex-wrap: wrap;
    gap: var(--s-2);
    padding: var(--s-2) 0;
  }
  .acts .end {
    margin-left: auto;
  }
  .switch {
    display: inline-flex;
    align-items: center;
    gap: var(--s-2);
    min-height: var(--s-touch);
    padding: 0 var(--s-2);
    font-size: 1rem;
    color: var(--s-text);
    cursor: pointer;
  }
  .switch input {
    width: 20px;
    height: 20px;
    min-height: 0;
    accent-color: var(--s-accent);
  }
  .making {
    display: flex;
    align-items: center;
    gap: var(--s-3);
    font-size: 0.875rem;
  }
  progress {
    height: 6px;
    accent-color: var(--s-accent);
  }
  .said {
    color: var(--s-red);
  }
  .description {
    white-space: pre-wrap;
    max-width: 72ch;
  }
  dialog {
    width: min(440px, calc(100vw - 32px));
    padding: var(--s-6);
    border: 1px solid var(--s-line);
    border-radius: 12px;
    background: var(--s-surface);
    color: var(--s-text);
  }
  dialog::backdrop {
    background: rgb(10 12 16 / 0.5);
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    gap: var(--s-2);
    justify-content: flex-end;
    padding-top: var(--s-4);
  }
  @media (max-width: 480px) {
    .wrap {
      padding: 0 0 var(--s-8);
    }
    .stage > *:not(sluice-player, video, .hole, dialog) {
      margin-left: var(--s-3);
      margin-right: var(--s-3);
    }
    sluice-player,
    video,
    .hole {
      border-radius: 0;
    }
    .acts .end {
      margin-left: 0;
    }
  }
`;
