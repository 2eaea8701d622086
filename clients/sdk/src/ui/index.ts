// The web components. Importing this registers <sluice-player>,
// <sluice-publisher>, <sluice-stats> and their parts, once.

import { SluiceMeter } from "./meter";
import { SluicePlayer } from "./player";
import { SluicePublisher } from "./publisher";
import { SluiceStats } from "./stats";
import { SluiceTimeline } from "./timeline";
import { SluiceUplink } from "./uplink";

const elements = {
  "sluice-meter": SluiceMeter,
  "sluice-player": SluicePlayer,
  "sluice-publisher": SluicePublisher,
  "sluice-stats": SluiceStats,
  "sluice-timeline": SluiceTimeline,
  "sluice-uplink": SluiceUplink,
};

for (const [name, element] of Object.entries(elements)) if (!customElements.get(name)) customElements.define(name, element);

declare global {
  interface HTMLElementTagNameMap {
    "sluice-meter": SluiceMeter;
    "sluice-player": SluicePlayer;
    "sluice-publisher": SluicePublisher;
    "sluice-stats": SluiceStats;
    "sluice-timeline": SluiceTimeline;
    "sluice-uplink": SluiceUplink;
  }
}

export type { SluiceEvents } from "./events";
export * as format from "./format";
export { icon, type IconName } from "./icons";
export { controls, tokens } from "./tokens";
export { SluiceMeter, SluicePlayer, SluicePublisher, SluiceStats, SluiceTimeline, SluiceUplink };
