// `ostraka admin certs`: makes the cluster's authority and the certificates of its nodes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/fs.h"

namespace ostraka::cmd {

// Adds the verbs below `admin`; as add_admin_commands().
void add_certs_commands(CLI::App& admin, std::function<int()>& chosen);

struct AuthoritySpec {
  std::string out;  // folder; made when it is missing
  std::string trust_domain;
  unsigned days = 0;
};
// Writes ca.crt and ca.key (mode 0600); gives what to do next. Errors, for people: conflict (one of them is
// there), invalid_argument, those of Fs.
Result<std::string> make_authority_files(Fs& fs, const AuthoritySpec& spec, std::int64_t now_unix_s);

struct NodesSpec {
  std::string authority;  // the folder with ca.crt and ca.key
  std::string out;
  std::vector<std::string> nodes;
  unsigned days = 0;
};
// Writes NAME/ca.crt, NAME/node.crt and NAME/node.key (mode 0600) for each node; nothing when one of them is
// there already. Gives what to do next. Errors as above; after one of Fs, some folders are written.
Result<std::string> make_node_files(Fs& fs, const NodesSpec& spec, std::int64_t now_unix_s);

}  // namespace ostraka::cmd
