// The icons, drawn on a 24-pixel square in the colour of the text.
// They say nothing to screen readers: the button's label does. Owned by the look.

import { html, svg, type TemplateResult } from "lit";

const shapes = {
  play: svg`<path d="M8 5v14l11-7z" fill="currentColor" stroke="none"/>`,
  pause: svg`<path d="M7 5h4v14H7zM13 5h4v14h-4z" fill="currentColor" stroke="none"/>`,
  sound: svg`<path d="M4 9.5v5h3.5L12 19V5L7.5 9.5z" fill="currentColor"/><path d="M15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11"/>`,
  muted: svg`<path d="M4 9.5v5h3.5L12 19V5L7.5 9.5z" fill="currentColor"/><path d="m16 9.5 5 5m0-5-5 5"/>`,
  layers: svg`<path d="M4 6h16M4 12h16M4 18h16"/><circle cx="9" cy="6" r="2.2" fill="currentColor"/><circle cx="16" cy="12" r="2.2" fill="currentColor"/><circle cx="7" cy="18" r="2.2" fill="currentColor"/>`,
  stats: svg`<path d="M4 19V5M4 19h16M8 15l3.5-4 3 2.5L20 7"/>`,
  pip: svg`<rect x="3" y="5" width="18" height="14" rx="2"/><rect x="12" y="12" width="7" height="5" rx="1" fill="currentColor"/>`,
  fullscreen: svg`<path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"/>`,
  shrink: svg`<path d="M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5"/>`,
  captions: svg`<rect x="2.5" y="5" width="19" height="14" rx="2"/><path d="M10.5 10.6a2.1 2.1 0 1 0 0 2.8M17.5 10.6a2.1 2.1 0 1 0 0 2.8"/>`,
  audio: svg`<path d="M9 17.5V6l10-2v11.5"/><circle cx="6.5" cy="17.5" r="2.5" fill="currentColor"/><circle cx="16.5" cy="15.5" r="2.5" fill="currentColor"/>`,
  again: svg`<path d="M5 12a7 7 0 1 0 2.2-5.1M5 4v4.5h4.5"/>`,
  download: svg`<path d="M12 4v11M8 11.5l4 4 4-4M5 15v3.5A1.5 1.5 0 0 0 6.5 20h11a1.5 1.5 0 0 0 1.5-1.5V15"/>`,
  upload: svg`<path d="M12 15V4.5M8 8l4-4 4 4M5 15v3.5A1.5 1.5 0 0 0 6.5 20h11a1.5 1.5 0 0 0 1.5-1.5V15"/>`,
  film: svg`<rect x="3" y="5" width="18" height="14" rx="2"/><path d="M7.5 5v14M16.5 5v14M3 12h18M3 8.5h4.5M3 15.5h4.5M16.5 8.5H21M16.5 15.5H21"/>`,
  scissors: svg`<circle cx="6.5" cy="6.5" r="2.5"/><circle cx="6.5" cy="17.5" r="2.5"/><path d="M8.5 8 20 17.5M8.5 16 20 6.5"/>`,
  bin: svg`<path d="M5 7h14M10 4h4M7 7l.8 12a1.5 1.5 0 0 0 1.5 1.4h5.4a1.5 1.5 0 0 0 1.5-1.4L17 7M10.5 11v5.5M13.5 11v5.5"/>`,
  pencil: svg`<path d="m5 19 1-4L16.5 4.500a1.4 1.4 0 0 1 2 0l1 1a1.4 1.4 0 0 1 0 2L9 18z"/>`,
  search: svg`<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.500 4.500"/>`,
  keyboard: svg`<rect x="2.5" y="6" width="19" height="12" rx="2"/><path d="M6.5 10h.01M10 10h.01M13.5 10h.01M17 10h.01M8 14h8"/>`,
  camera: svg`<rect x="3" y="6.5" width="12.5" height="11" rx="2"/><path d="m15.5 11 5-3v8l-5-3"/>`,
  screen: svg`<rect x="3" y="4.5" width="18" height="12" rx="2"/><path d="M9 20h6M12 16.5V20"/>`,
  both: svg`<rect x="3" y="4.5" width="18" height="15" rx="2"/><rect x="13" y="12.5" width="5.5" height="4.5" rx="1" fill="currentColor"/>`,
  check: svg`<path d="m5 12.5 4.5 4.5L19 7.5"/>`,
  close: svg`<path d="m6 6 12 12M18 6 6 18"/>`,
  copy: svg`<rect x="8.5" y="8.5" width="11" height="11" rx="2"/><path d="M15.5 8.5v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2"/>`,
  people: svg`<circle cx="9" cy="8.5" r="3.2"/><path d="M3 19c.6-3.4 3-5 6-5s5.4 1.6 6 5M15.5 5.6a3.2 3.2 0 0 1 0 5.8M17.5 14.4c1.9.7 3.1 2.2 3.5 4.6"/>`,
  clock: svg`<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>`,
  share: svg`<path d="M12 15V4M8 7.5 12 3.5l4 4M5 12v6.5a1.5 1.5 0 0 0 1.5 1.5h11a1.5 1.5 0 0 0 1.5-1.5V12"/>`,
  key: svg`<circle cx="8" cy="14.5" r="4"/><path d="m11 11.5 8.5-8M16 6.5l3 3"/>`,
  sun: svg`<circle cx="12" cy="12" r="4"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4"/>`,
  moon: svg`<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"/>`,
  auto: svg`<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/>`,
};

/** IconName names an icon. */
export type IconName = keyof typeof shapes;

/** icon draws one. */
export function icon(name: IconName, size = 24): TemplateResult {
  return html`<svg width=${size} height=${size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${shapes[name]}</svg>`;
}
