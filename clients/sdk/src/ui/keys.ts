// The player's keys. Promises that typing into a field is left alone, and so are
// the browser's own shortcuts. Pure; owned by the player.

/** Command is what a key asks for. */
export type Command = "play" | "mute" | "fullscreen" | "louder" | "quieter" | "better" | "smaller" | "back" | "forward" | "stats" | "captions" | "pip" | "help" | "close";

const commands: Record<string, Command> = {
  " ": "play",
  k: "play",
  m: "mute",
  f: "fullscreen",
  ArrowUp: "louder",
  ArrowDown: "quieter",
  ArrowRight: "better",
  ArrowLeft: "smaller",
  j: "back",
  l: "forward",
  s: "stats",
  c: "captions",
  p: "pip",
  "?": "help",
  Escape: "close",
};

/** commandOf returns what the key asks of the player, if anything. */
export function commandOf(event: KeyboardEvent): Command | undefined {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const target = event.composedPath()[0];
  const command = commands[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!(target instanceof Element) || !command) return command;
  if (target.closest("input:not([type=range]), textarea, select, [contenteditable]")) return undefined;
  // Space presses a focused button or link; arrows move in menus and sliders.
  if (event.key === " " && target.closest("button, a, summary, [role=menuitemradio]")) return undefined;
  if (event.key.startsWith("Arrow") && target.closest("input, [role=menu], [role=slider]")) return undefined;
  return command;
}
