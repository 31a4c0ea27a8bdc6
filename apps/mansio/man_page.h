// Manual pages in roff, made from the verbs and the declared settings. Pure.
#pragma once

#include <string>

#include "mansio/verb_tree.h"

namespace mansio::cli {

/// The pages there are: "mansio.1", "mansio-sendmail.1", "mansio.toml.5", "mansiod.8".
std::vector<std::string> man_pages();

/// Empty: there is no such page. `version` stands at the foot.
std::string man_page(const std::string& name, const Verb& root, const std::string& version);

}  // namespace mansio::cli
