// <sluice-qr>: a link as a QR code, always dark on white as cameras want it, with
// its quiet zone of four modules (ISO/IEC 18004). Owned by a page.

import { tokens } from "@sluice/sdk";
import { css, html, LitElement, type TemplateResult } from "lit";
import qrcode from "qrcode-generator";

const quiet = 4;

/** modules draws the dark modules as one SVG path. */
export function modules(text: string): { size: number; path: string } {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const n = code.getModuleCount();
  let path = "";
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) if (code.isDark(y, x)) path += `M${x + quiet} ${y + quiet}h1v1h-1z`;
  return { size: n + 2 * quiet, path };
}

/** SluiceQr shows a text as a QR code. */
export class SluiceQr extends LitElement {
  static override properties = { value: {}, label: {} };
  static override styles = [
    tokens,
    css`
      svg {
        display: block;
        width: 144px;
        height: 144px;
        border-radius: var(--s-radius);
        background: #fff;
        border: 1px solid var(--s-line);
      }
    `,
  ];
  declare value: string;
  declare label: string;

  protected override render(): TemplateResult {
    const { size, path } = modules(this.value ?? "");
    return html`<svg viewBox="0 0 ${size} ${size}" role="img" aria-label=${this.label} shape-rendering="crispEdges"><path d=${path} fill="#000" /></svg>`;
  }
}

customElements.define("sluice-qr", SluiceQr);
