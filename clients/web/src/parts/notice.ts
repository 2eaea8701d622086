// How a list says that it is empty, or that something is wrong. Owned by the pages.

import { css } from "lit";

export const noticeStyle = css`
  .notice {
    margin-bottom: var(--s-4);
    border-left: 4px solid var(--s-warn);
  }
  .notice .button {
    margin-top: var(--s-3);
  }
  .none {
    display: grid;
    justify-items: center;
    gap: var(--s-3);
    padding: var(--s-12) var(--s-4);
    text-align: center;
    border-style: dashed;
  }
  .none p {
    max-width: 48ch;
    color: var(--s-dim);
  }
  .none > svg {
    color: var(--s-dim);
  }
`;
