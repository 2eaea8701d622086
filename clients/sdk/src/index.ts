// @sluice/sdk: the core and the web components in one.
// Promises stable names of elements, attributes and events. For the core alone
// import @sluice/sdk/core, which has no dependencies.

export * from "./core";
export { language, type Message, translator, type Values } from "./text";
export * from "./ui";
