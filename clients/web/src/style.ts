// What the pages share in looks. Owned by the pages.

import { css } from "lit";

export const pageStyle = css`
  :host {
    display: block;
  }
  .wrap {
    max-width: 1280px;
    margin: 0 auto;
    padding: var(--s-6) var(--s-4) var(--s-12);
  }
  h1 {
    font-size: 1.5rem;
    line-height: 1.25;
    overflow-wrap: anywhere;
  }
  h2 {
    font-size: 1.125rem;
    line-height: 1.3;
  }
  a {
    color: var(--s-accent);
  }
  .panel {
    border: 1px solid var(--s-line);
    border-radius: var(--s-radius);
    background: var(--s-surface);
    padding: var(--s-4);
  }
  @media (max-width: 480px) {
    .wrap {
      padding: var(--s-4) var(--s-3) var(--s-8);
    }
  }
`;
