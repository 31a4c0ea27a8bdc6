// Shell completion of the command, made from its own declarations. Pure.
#pragma once

#include <string>

#include "mansio/verb_tree.h"

namespace mansio::cli {

/// Scripts that complete verbs, options, words that an option chooses from, and files. Ids and
/// destinations are not completed: that would need the daemon.
std::string bash_completion(const Verb& root);
std::string zsh_completion(const Verb& root);
std::string fish_completion(const Verb& root);

/// Adds the verb `completion`. Last, so that it knows the others.
void add_completion_command(CLI::App& app, std::function<int()>& action);

}  // namespace mansio::cli
