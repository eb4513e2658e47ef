// The answers of the admin API as lines for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace ostraka::cmd {

using AdminJson = nlohmann::ordered_json;

std::string heal_status_text(const AdminJson& status, std::int64_t now_ms);
std::string heal_run_text(const AdminJson& run);
std::string scan_status_text(const AdminJson& pass, std::int64_t now_ms);
std::string scan_report_text(const AdminJson& report, std::int64_t now_ms);
std::string usage_text(const AdminJson& usage);
std::string inspection_text(const AdminJson& object);
// Of `GET rebalance`.
std::string rebalance_text(const AdminJson& status);
std::string rebalance_line(const AdminJson& status);  // how far it is, without an end of line
std::string drive_list_text(const AdminJson& status);
std::string node_list_text(const AdminJson& status);

}  // namespace ostraka::cmd
