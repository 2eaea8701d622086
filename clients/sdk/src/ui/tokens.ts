// Colour, space, radius and type, as custom properties.
// Promises light and dark by the color-scheme of the page, contrast of at least
// 4.5:1 for text, and that an embedding page may set any --sluice-… of its own.
// Owned by the look.

import { css } from "lit";

export const tokens = css`
  :host {
    --s-bg: var(--sluice-bg, light-dark(#f5f6f8, #101318));
    --s-surface: var(--sluice-surface, light-dark(#ffffff, #181c23));
    --s-sunken: var(--sluice-sunken, light-dark(#eceef2, #20252e));
    --s-line: var(--sluice-line, light-dark(#d8dce3, #2e3541));
    --s-edge: var(--sluice-edge, light-dark(#858d9a, #6f7888)); /* borders of controls: 3:1 */
    --s-text: var(--sluice-text, light-dark(#14181f, #eceff4));
    --s-dim: var(--sluice-dim, light-dark(#4f5866, #a4adbb));
    --s-accent: var(--sluice-accent, light-dark(#0b5cc4, #7ab4ff));
    --s-on-accent: var(--sluice-on-accent, light-dark(#ffffff, #06172e));
    --s-red: var(--sluice-red, light-dark(#c01830, #ff7b86)); /* live and danger only */
    --s-danger: var(--sluice-danger, light-dark(#c01830, #cf2a40)); /* beneath white text */
    --s-good: var(--sluice-good, light-dark(#176b3a, #6fd59a));
    --s-warn: var(--sluice-warn, light-dark(#8a5300, #f2b85c));
    --s-1: 4px;
    --s-2: 8px;
    --s-3: 12px;
    --s-4: 16px;
    --s-6: 24px;
    --s-8: 32px;
    --s-12: 48px;
    --s-touch: 44px;
    --s-radius: var(--sluice-radius, 8px);
    --s-font: var(--sluice-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif);
    font: 400 1rem/1.5 var(--s-font);
    font-variant-numeric: tabular-nums;
    color: var(--s-text);
  }
  :host([hidden]),
  [hidden] {
    display: none !important;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  :focus-visible {
    outline: 2px solid var(--s-accent);
    outline-offset: 2px;
  }
  .sr {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  h1,
  h2,
  h3,
  p {
    margin: 0;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation-duration: 0.001s !important;
      animation-iteration-count: 1 !important;
      transition-duration: 0.001s !important;
    }
  }
`;

export const controls = css`
  button,
  select,
  input {
    font: inherit;
    color: inherit;
  }
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: var(--s-2);
    min-height: var(--s-touch);
    min-width: var(--s-touch);
    padding: 0 var(--s-4);
    border: 1px solid var(--s-edge);
    border-radius: var(--s-radius);
    background: var(--s-surface);
    color: var(--s-text);
    font-weight: 500;
    text-decoration: none;
    cursor: pointer;
  }
  .button:hover {
    background: var(--s-sunken);
  }
  .button.primary {
    border-color: var(--s-accent);
    background: var(--s-accent);
    color: var(--s-on-accent);
  }
  .button.danger {
    border-color: var(--s-danger);
    background: var(--s-danger);
    color: #fff;
  }
  .button.primary:hover,
  .button.danger:hover {
    filter: brightness(1.08);
  }
  .button:disabled {
    opacity: 0.5;
    cursor: default;
  }
  .button svg {
    flex: none;
  }
  label,
  .label {
    display: block;
    font-size: 0.875rem;
    font-weight: 500;
    color: var(--s-dim);
  }
  select,
  input[type="text"],
  input[type="password"],
  input:not([type]) {
    width: 100%;
    min-height: var(--s-touch);
    padding: 0 var(--s-3);
    border: 1px solid var(--s-edge);
    border-radius: var(--s-radius);
    background: var(--s-surface);
  }
  .help {
    font-size: 0.875rem;
    color: var(--s-dim);
  }
`;
