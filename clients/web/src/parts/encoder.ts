// What to type into OBS and FFmpeg. Pure texts, and a template that shows them.
// Promises commands that a shell takes as they are. Owned by the publish page.

import { html, nothing, type TemplateResult } from "lit";
import { t } from "../text";
import "./copy";

/** whipUrl is where encoders publish a stream. */
export function whipUrl(origin: string, stream: string): string {
  return `${origin}/whip/${stream}`;
}

/** ffmpegCommand sends a file as if it were live, with what WebRTC needs: no B-frames, a key frame each second, Opus. */
export function ffmpegCommand(url: string, token: string): string {
  const auth = token ? ` -authorization '${token.replaceAll("'", "'\\''")}'` : "";
  const video = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -bf 0 -force_key_frames 'expr:gte(t,n_forced)' -b:v 2500k -maxrate 2500k -bufsize 1250k";
  return `ffmpeg -re -i input.mp4 ${video} -c:a libopus -ar 48000 -ac 2 -b:a 128k -f whip${auth} ${url}`;
}

/** encoderPanel shows the settings of both. */
export function encoderPanel(origin: string, stream: string, token: string): TemplateResult {
  const url = whipUrl(origin, stream);
  return html`
    ${token ? nothing : html`<p class="help">${t("publish.noToken")}</p>`}
    <h3>${t("publish.obs")}</h3>
    <p class="help">${t("publish.obs.line")}</p>
    <sluice-copy label=${t("publish.obs.server")} .value=${url}></sluice-copy>
    ${token ? html`<sluice-copy secret label=${t("publish.obs.token")} .value=${token}></sluice-copy>` : nothing}
    <h3>${t("publish.ffmpeg")}</h3>
    <p class="help">${t("publish.ffmpeg.line")}</p>
    <sluice-copy ?secret=${token !== ""} label=${t("publish.ffmpeg")} .value=${ffmpegCommand(url, token)}></sluice-copy>
  `;
}
