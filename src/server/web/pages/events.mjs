// Server-sent events from a response that is read as it comes: EventSource cannot send a token.
//
// Pure: text in, events out (HTML standard, 9.2.6). Not here: `id` and `retry`, which the server does not send.
// Bounds: MAX_EVENT characters of one event; more is not what our server sends, and ends the stream.

export const MAX_EVENT = 16 << 20;

/** Cuts the text of an event stream into events. */
export class EventReader {
  #rest = "";
  #type = "";
  #data = [];
  #size = 0;

  /**
   * The next piece of the stream, cut anywhere.
   * @returns {{type: string, data: string}[]} events that are complete now
   */
  push(text) {
    const events = [];
    const lines = (this.#rest + text).split("\n");
    // A line without its end waits for the rest.
    this.#rest = lines.pop();
    if (this.#rest.length + this.#size > MAX_EVENT) throw new Error("an event is too long");
    for (const line of lines) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line, events);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length > 0) events.push({ type: this.#type || "message", data: this.#data.join("\n") });
      this.#type = "";
      this.#data = [];
      this.#size = 0;
      return;
    }
    // Comments keep the connection alive.
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    if (field === "data") {
      this.#size += value.length;
      if (this.#size > MAX_EVENT) throw new Error("an event is too long");
      this.#data.push(value);
    }
  }
}
