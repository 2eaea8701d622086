// How what opens over the picture looks: the layer menu and the small windows.
// Owned by the player.

import { css } from "lit";

export const menuStyle = css`
  .menu,
  .sheet {
    position: absolute;
    right: var(--s-2);
    bottom: 60px;
    max-height: calc(100% - 68px);
    overflow: auto;
    padding: var(--s-1);
    border-radius: var(--s-radius);
    background: #1c222b;
    box-shadow: 0 4px 24px rgb(0 0 0 / 0.5);
  }
  .menu {
    width: min(288px, 100% - 16px); /* room for the longest reason: the menu keeps its size when another one comes */
    box-sizing: border-box;
  }
  .menu button {
    display: grid;
    grid-template-columns: 24px 1fr auto;
    gap: var(--s-2);
    align-items: center;
    width: 100%;
    min-height: var(--s-touch);
    padding: 0 var(--s-3) 0 var(--s-2);
    border: 0;
    border-radius: 6px;
    background: none;
    color: #fff;
    text-align: left;
    cursor: pointer;
  }
  .menu button:hover:not(:disabled) {
    background: rgb(255 255 255 / 0.1);
  }
  .menu button:disabled {
    color: #a4adbb;
    cursor: default;
  }
  .menu .why {
    margin: 0;
    padding: 0 var(--s-3) var(--s-2) 40px; /* beneath the words of the line above: its inset, icon and gap */
    font-size: 0.8125rem;
    color: #c3cad5;
    font-variant-numeric: tabular-nums;
  }
  .menu .rate {
    color: #c3cad5;
    font-size: 0.875rem;
    padding-left: var(--s-4);
  }
  .sheet {
    padding: var(--s-2) var(--s-4) var(--s-3);
    top: var(--s-2);
    bottom: auto;
    width: min(360px, calc(100% - 16px));
    max-height: calc(100% - 76px);
    background: rgb(20 24 31 / 0.94);
  }
  .sheet header {
    display: flex;
    align-items: center;
    justify-content: space-between;
    font-weight: 600;
  }
  .keys {
    display: grid;
    grid-template-columns: auto 1fr;
    gap: var(--s-1) var(--s-4);
    margin: 0;
  }
  .keys dd {
    margin: 0;
    color: #d3d9e2;
  }
  kbd {
    display: inline-block;
    min-width: 28px;
    padding: 0 6px;
    border: 1px solid #6f7888;
    border-radius: 4px;
    text-align: center;
    font: inherit;
    font-size: 0.875rem;
  }
  @container (max-width: 560px) {
    .menu {
      bottom: var(--s-2);
      max-height: calc(100% - 16px);
    }
    /* The menu takes most of a small picture: no half button looks out from under it. */
    :has(> .menu) > .top .sound {
      visibility: hidden;
    }
  }
`;
