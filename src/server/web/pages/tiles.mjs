// The figures of the server at the top of the console.

import { byId, el, setText } from "./dom.mjs";
import * as format from "./format.mjs";
import { Graph } from "./graph.mjs";
import { Series } from "./series.mjs";

/** Values in a graph: two minutes at one a second. */
const LENGTH = 120;

/** A tile: a name, a figure, a line below; perhaps with a graph behind. */
class Tile {
  constructor(name, { graph = false } = {}) {
    this.big = el("div", { className: "big" }, format.DASH);
    this.small = el("div", { className: "small" });
    this.graph = graph ? new Graph(name + ", the last two minutes") : null;
    this.series = graph ? new Series(LENGTH) : null;
    byId("tiles").append(el("div", { className: "tile" }, this.graph?.node ?? null, el("h3", {}, name), this.big, this.small));
  }

  show(big, small, value, top) {
    setText(this.big, big);
    setText(this.small, small);
    if (this.graph) this.graph.draw(this.series, top);
  }
}

export class Tiles {
  constructor() {
    this.live = new Tile("Live");
    this.sent = new Tile("Sent", { graph: true });
    this.received = new Tile("Received", { graph: true });
    this.cpu = new Tile("Processor", { graph: true });
    this.memory = new Tile("Memory");
    this.connections = new Tile("Connections");
    this.up = new Tile("Up");
  }

  /** The server has been restarted, or has not been heard of: graphs show a gap. */
  gap() {
    for (const tile of [this.sent, this.received, this.cpu]) tile.series.push(null);
  }

  /** A Server of the API has come. */
  note(server) {
    this.sent.series.push(server.traffic.sent_bps);
    this.received.series.push(server.traffic.received_bps);
    this.cpu.series.push(server.process.cpu_percent);
  }

  draw(server) {
    const { process, traffic, connections } = server;
    const streams = server.streams.live === 1 ? " stream" : " streams";
    this.live.show(format.count(server.streams.live) + streams, format.count(server.players) + (server.players === 1 ? " player" : " players"));
    this.sent.show(format.bitrate(traffic.sent_bps), format.bytes(traffic.sent_bytes) + " in all");
    this.received.show(format.bitrate(traffic.received_bps), format.bytes(traffic.received_bytes) + " in all");
    // A graph that is full at one core would look busy on a machine with many.
    const top = Math.max(100, this.cpu.series.max);
    this.cpu.graph.draw(this.cpu.series, top);
    setText(this.cpu.big, format.percent(process.cpu_percent));
    setText(this.cpu.small, "of one core, of " + process.cores);
    this.memory.show(format.memory(process.resident_bytes), format.count(process.threads) + " threads");
    const refused = connections.refused > 0 ? ", " + format.count(connections.refused) + " refused" : "";
    this.connections.show(format.count(connections.open), "of " + format.count(connections.max) + refused);
    this.up.show(format.duration(server.uptime_ms), "weir " + server.version);
  }
}
