// The command line.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/fault_point.h"
#include "cmd/admin_certs.h"
#include "cmd/admin_commands.h"
#include "cmd/config.h"
#include "cmd/control_store_file.h"
#include "cmd/server.h"
#include "cmd/version.h"
#include "runtime/fs.h"

namespace {

using namespace ostraka;  // NOLINT(google-build-using-namespace): this file is the program

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

int complain(const Error& error) {
  std::fprintf(stderr, "ostraka: %s\n", error.detail.c_str());
  return 1;
}

int serve(cmd::ConfigSources sources) {
  const auto points = FaultPoints::arm(variable("OSTRAKA_FAULT_POINTS").value_or(""));
  if (!points) return complain(points.error());
  PosixFs fs;
  const auto config = cmd::load_config(fs, sources);
  if (!config) return complain(config.error());
  return cmd::run_server(*config);
}

Result<> migrate(const cmd::ConfigSources& sources, const std::vector<std::string>& drives) {
  TRY(config, cmd::load_control_store_config(sources));
  return cmd::migrate_control_store(drives, config);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Ostraka: an S3-compatible, erasure-coded object store");
  app.require_subcommand(1);

  cmd::ConfigSources sources;
  sources.variable = variable;
  CLI::App* server = app.add_subcommand("server", "Serve S3 from the folders given");
  server->footer(
      "The root credential comes from OSTRAKA_ROOT_USER and OSTRAKA_ROOT_PASSWORD.\n"
      "Every setting can also be given as a variable (OSTRAKA_ADDRESS for --address) or in the file.");
  server->add_option("--config", sources.file, "a TOML file with settings");
  for (const cmd::Setting& setting : cmd::settings()) {
    const std::string name(setting.name);
    server->add_option_function<std::string>(
        cmd::flag_of(name), [&sources, name](const std::string& text) { sources.flags[name] = text; },
        std::string(setting.help) + " [" + std::string(setting.fallback) + "]");
  }
  server->add_option("DRIVE", sources.drives, "folders, or ranges of folders such as /mnt/d{1...6}");

  CLI::App* version = app.add_subcommand("version", "Print the version");

  CLI::App* admin = app.add_subcommand("admin", "Ask a running server, or work on a store that is stopped");
  admin->require_subcommand(1);
  CLI::App* store = admin->add_subcommand(
      "control-store", "The documents about buckets and placement, while the server is stopped");
  store->require_subcommand(1);
  std::vector<std::string> store_drives;
  CLI::App* store_export = store->add_subcommand("export", "Write them as JSON to standard output");
  CLI::App* store_import =
      store->add_subcommand("import", "Put the documents of a JSON text from standard input");
  CLI::App* store_migrate = store->add_subcommand(
      "migrate",
      "Move them from the drives into etcd (--control-store), where the server keeps them from then on");
  for (const cmd::Setting& setting : cmd::settings()) {
    if (!cmd::is_of_control_store(setting)) continue;
    const std::string name(setting.name);
    store_migrate->add_option_function<std::string>(
        cmd::flag_of(name), [&sources, name](const std::string& text) { sources.flags[name] = text; },
        std::string(setting.help));
  }
  for (CLI::App* command : {store_export, store_import, store_migrate}) {
    command->add_option("DRIVE", store_drives, "all folders of the deployment")->required();
  }

  std::function<int()> admin_verb;
  cmd::add_admin_commands(*admin, variable, admin_verb);
  cmd::add_certs_commands(*admin, admin_verb);

  CLI11_PARSE(app, argc, argv);
  if (server->parsed()) return serve(std::move(sources));
  if (version->parsed()) {
    std::printf("ostraka %.*s\n", static_cast<int>(cmd::version().size()), cmd::version().data());
    return 0;
  }
  if (admin_verb) return admin_verb();
  Result<> done;
  if (store_export->parsed()) done = cmd::export_control_store(store_drives);
  if (store_import->parsed()) done = cmd::import_control_store(store_drives);
  if (store_migrate->parsed()) done = migrate(sources, store_drives);
  return done ? 0 : complain(done.error());
}
