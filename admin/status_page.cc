#include "admin/status_page.h"

#include <string_view>

#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka::admin {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ground: #f6f4f0; --card: #fff; --ink: #23201c; --soft: #6d665c; --line: #e3ded5;
  --good: #2f7d4f; --warn: #a86a00; --bad: #b3352b; --accent: #b8552d; }
@media (prefers-color-scheme: dark) { :root { --ground: #191715; --card: #23201d; --ink: #ece7df; --soft: #a49b8f; --line: #38332e;
  --good: #6cc08b; --warn: #e0a64a; --bad: #ec7c6f; --accent: #e08a5f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; margin-bottom: 1rem; }
h1 { font-size: 1.35rem; margin: 0; letter-spacing: .01em; }
h1::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .5em; background: var(--accent);
  clip-path: polygon(12% 0, 88% 8%, 100% 62%, 55% 100%, 0 78%); }
h2 { font-size: .8rem; text-transform: uppercase; letter-spacing: .07em; color: var(--soft); margin: 2rem 0 .6rem; font-weight: 600; }
#facts { color: var(--soft); font-size: .87rem; overflow-wrap: anywhere; }
#health { background: var(--card); border: 1px solid var(--line); border-left: .4rem solid var(--soft); border-radius: .5rem;
  padding: 1rem 1.2rem; font-size: 1.08rem; overflow-wrap: anywhere; }
#health.ok { border-left-color: var(--good); } #health.degraded { border-left-color: var(--warn); }
#health.read_only, #health.unavailable, #health.away { border-left-color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .75rem; margin-top: .75rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; }
.tile span { display: block; color: var(--soft); font-size: .82rem; }
.tile b { display: block; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: 2.2rem; margin-top: .3rem; }
svg path { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: .55rem 1rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-size: .82rem; font-weight: 600; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.path { font-family: ui-monospace, monospace; font-size: .87rem; overflow-wrap: anywhere; min-width: 10rem; }
.state { font-weight: 600; color: var(--good); } .state.missing { color: var(--bad); } .state.refilling, .state.full { color: var(--warn); }
.problem { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
meter { width: 100%; min-width: 6rem; height: .6rem; }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
a { color: inherit; }
)css";

constexpr std::string_view kScript = R"js(
"use strict";
const PERIOD_MS = 2000, HISTORY = 60;
const el = id => document.getElementById(id);
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
function bytes(n) {
  let i = 0;
  while (n >= 1024 && i < UNITS.length - 1) { n /= 1024; ++i; }
  return n.toFixed(i === 0 || n >= 100 ? 0 : 1) + " " + UNITS[i];
}
function count(n) { return Math.round(n).toLocaleString("en"); }
function rate(n) { return n >= 10 ? count(n) : n.toFixed(1); }
function span(seconds) {
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24, m = Math.floor(seconds / 60) % 60;
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min` : `${seconds} s`;
}
function line(id, values) {
  const top = Math.max(...values, 1e-9);
  const points = values.map((v, i) => `${(i * 100 / (HISTORY - 1)).toFixed(2)},${(29 - 27 * v / top).toFixed(2)}`);
  el(id).setAttribute("d", values.length > 1 ? "M" + points.join("L") : "");
}
let before = null;
const history = { requests: [], received: [], sent: [] };
function remember(name, value) {
  history[name].push(value);
  if (history[name].length > HISTORY) history[name].shift();
  line(name + "-line", history[name]);
}
function cell(row, text, kind) {
  const td = row.insertCell();
  td.textContent = text;
  if (kind) td.className = kind;
  return td;
}
const STATES = { ok: "online", refilling: "online, being refilled", full: "full", away: "missing", stalled: "does not answer",
  failing: "taken out: it fails" };
function ms(us) { return us >= 99500 ? (us / 1e6).toFixed(1) + " s" : (us / 1000).toFixed(us >= 9950 ? 0 : 1) + " ms"; }
function latency(l) { return l.calls ? ms(l.p50_us) + " / " + ms(l.p99_us) : "–"; }
function device(smart) {
  const words = [smart.device, smart.model];
  if (smart.temperature_celsius !== null) words.push(smart.temperature_celsius + " °C");
  if (smart.passed === false) words.push("expects to fail soon");
  if (smart.reallocated_sectors) words.push(count(smart.reallocated_sectors) + " sectors replaced");
  if (smart.pending_sectors) words.push(count(smart.pending_sectors) + " sectors unreadable");
  if (smart.media_errors) words.push(count(smart.media_errors) + " media errors");
  if (smart.percentage_used !== null) words.push(smart.percentage_used + " % of its endurance used");
  return words.filter(word => word).join(" · ");
}
function drive_row(body, drive) {
  const row = body.insertRow();
  const path = cell(row, drive.path, "path");
  if (drive.smart) {
    const told = document.createElement("div");
    told.className = "problem";
    told.textContent = device(drive.smart);
    if (drive.smart.serial) told.title = "serial number " + drive.smart.serial;
    path.append(told);
  }
  const state = cell(row, "");
  const word = document.createElement("span");
  word.className = drive.online ? "state " + drive.state : "state missing";
  word.textContent = STATES[drive.state] ?? drive.state;
  state.append(word);
  if (drive.problem) {
    const problem = document.createElement("div");
    problem.className = "problem";
    problem.textContent = drive.problem;
    state.append(problem);
  }
  const used = cell(row, "");
  if (drive.total_bytes > 0) {
    const meter = document.createElement("meter");
    meter.max = drive.total_bytes;
    meter.value = drive.total_bytes - drive.free_bytes;
    meter.high = drive.total_bytes * 0.9;
    meter.title = bytes(meter.value) + " of " + bytes(drive.total_bytes) + " in use";
    used.append(meter);
  }
  cell(row, drive.online ? bytes(drive.free_bytes) : "", "number");
  cell(row, latency(drive.reads), "number").title = count(drive.reads.calls) + " reads";
  cell(row, latency(drive.writes), "number").title = count(drive.writes.calls) + " writes";
  cell(row, count(drive.errors), "number").title = count(drive.recent_errors) + " errors of the device in the last minute";
  cell(row, count(drive.heal_queue), "number");
}
function show(s, now) {
  el("health").className = s.status;
  el("health").textContent = s.sentence;
  el("facts").textContent = `${s.geometry} on ${s.drives.length} drive${s.drives.length === 1 ? "" : "s"} · S3 at ${s.s3_address}` +
    ` · up ${span(s.uptime_seconds)} · version ${s.version} · deployment ${s.deployment}`;
  el("drives-online").textContent = `${s.drives_online} of ${s.drives.length}`;
  el("capacity").textContent = bytes(s.free_bytes * s.storage_efficiency);
  el("capacity-detail").textContent = `free for objects; ${bytes(s.free_bytes)} of ${bytes(s.total_bytes)} raw` +
    (s.drives_share_a_file_system ? "; the drives share a file system" : "");
  el("requests-total").textContent = `requests a second; ${count(s.requests_total)} since start, ${count(s.requests_in_flight)} in flight`;
  el("errors").textContent = count(s.server_errors_total);
  el("errors-detail").textContent = `server errors since start; ${count(s.client_errors_total)} refused requests`;
  el("heal").textContent = count(s.heal_queue);
  el("memory").textContent = bytes(s.resident_bytes);
  if (before && now > before.now && s.requests_total >= before.s.requests_total) {
    const seconds = (now - before.now) / 1000;
    const requests = (s.requests_total - before.s.requests_total) / seconds;
    const received = (s.received_bytes_total - before.s.received_bytes_total) / seconds;
    const sent = (s.sent_bytes_total - before.s.sent_bytes_total) / seconds;
    el("requests").textContent = rate(requests);
    el("received").textContent = bytes(received) + "/s";
    el("sent").textContent = bytes(sent) + "/s";
    remember("requests", requests);
    remember("received", received);
    remember("sent", sent);
  }
  before = { s, now };
  const body = document.createElement("tbody");
  s.drives.forEach(drive => drive_row(body, drive));
  el("drives").replaceWith(body);
  body.id = "drives";
}
async function poll() {
  try {
    const response = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error("status " + response.status);
    show(await response.json(), performance.now());
  } catch (error) {
    el("health").className = "away";
    el("health").textContent = "This page cannot reach the server; what stands below is from its last answer.";
  }
  setTimeout(poll, PERIOD_MS);
}
poll();
)js";

constexpr std::string_view kBody = R"html(<main>
<header><h1>Ostraka</h1><div id="facts"></div></header>
<div id="health" role="status">Asking the server…</div>
<section class="tiles">
<div class="tile"><span>Drives online</span><b id="drives-online">–</b></div>
<div class="tile"><span>Capacity</span><b id="capacity">–</b><span id="capacity-detail"></span></div>
<div class="tile"><span>Errors</span><b id="errors">–</b><span id="errors-detail"></span></div>
<div class="tile"><span>Heal queue</span><b id="heal">–</b><span>objects that a drive missed</span></div>
<div class="tile"><span>Memory</span><b id="memory">–</b><span>resident</span></div>
</section>
<h2>Traffic, last two minutes</h2>
<section class="tiles">
<div class="tile"><span>Requests</span><b id="requests">–</b><span id="requests-total"></span>
<svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true"><path id="requests-line"/></svg></div>
<div class="tile"><span>Received</span><b id="received">–</b><span>from clients</span>
<svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true"><path id="received-line"/></svg></div>
<div class="tile"><span>Sent</span><b id="sent">–</b><span>to clients</span>
<svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true"><path id="sent-line"/></svg></div>
</section>
<h2>Drives</h2>
<div class="scroll"><table>
<thead><tr><th>Folder</th><th>State</th><th>In use</th><th class="number">Free</th>
<th class="number" title="half of the calls of the last five minutes took less than the first, all but one in a hundred less than the second">Read</th>
<th class="number" title="the same of writes, with their sync">Write</th><th class="number">Failed calls</th>
<th class="number">Heal queue</th></tr></thead>
<tbody id="drives"></tbody>
</table></div>
<footer><a href="health/cluster">Health as JSON</a> · <a href="metrics">Metrics for Prometheus</a></footer>
</main>)html";

std::string hash_source(std::string_view content) {
  return "'sha256-" + base64(digest(DigestKind::sha256, content)) + "'";
}

}  // namespace

std::string status_page() {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Ostraka</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style>";
  out += kStyle;
  out += "</style>\n</head>\n<body>\n";
  out += kBody;
  out += "\n<script>";
  out += kScript;
  out += "</script>\n</body>\n</html>\n";
  return out;
}

std::string status_page_policy() {
  return "default-src 'none'; style-src " + hash_source(kStyle) + "; script-src " + hash_source(kScript) +
         "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace ostraka::admin
