#include "mansio/completion.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

namespace mansio::cli {
namespace {

/// Calls `visit` with every verb, the root first.
template <class F>
void each(const Verb& verb, const F& visit) {
  visit(verb);
  for (const Verb& child : verb.verbs) each(child, visit);
}

/// Its own options and those of the root, which may stand anywhere.
std::vector<VerbOption> options_at(const Verb& root, const Verb& verb) {
  std::vector<VerbOption> all = verb.options;
  if (&verb == &root) return all;
  for (const VerbOption& option : root.options) {
    const bool everywhere = option.names.back() != "--help" && option.names.back() != "--version";
    if (everywhere) all.push_back(option);
  }
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Inside single quotes of a shell; `quote` is how a quote is written there.
std::string quoted(const std::string& text, const char* quote) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += quote;
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out + "'";
}

/// The patterns of a `case` over "VERB WORD" that tell how the words before the cursor are read:
/// values are skipped, verbs lead on.
std::string walk_cases(const Verb& root, const char* indent) {
  std::string values, verbs;
  each(root, [&](const Verb& verb) {
    for (const VerbOption& option : options_at(root, verb)) {
      if (option.positional || !option.takes_value()) continue;
      for (const std::string& name : option.names) {
        values += fmt::format("{}\"{} {}\") skip=1 ;;\n", indent, verb.path, name);
      }
    }
    for (const Verb& child : verb.verbs) {
      verbs +=
          fmt::format("{}\"{} {}\") at=\"{}\" ;;\n", indent, verb.path, child.name, child.path);
    }
  });
  return values + verbs;
}

/// `case` branches for options whose value can be completed: `word_line` and `file_line` say how.
std::string value_cases(const Verb& root, const char* word_line, const char* file_line) {
  std::string out;
  each(root, [&](const Verb& verb) {
    for (const VerbOption& option : options_at(root, verb)) {
      if (option.positional || !option.takes_value()) continue;
      std::string answer = "return";
      if (!option.choices.empty()) {
        answer = fmt::format(fmt::runtime(word_line), joined(option.choices));
      } else if (option.takes_path()) {
        answer = file_line;
      }
      for (const std::string& name : option.names) {
        out += fmt::format("    \"{} {}\") {} ;;\n", verb.path, name, answer);
      }
    }
  });
  return out;
}

struct Positional {
  bool path = false;
  std::vector<std::string> choices;
};

Positional positional_of(const Verb& verb) {
  Positional found;
  for (const VerbOption& option : verb.options) {
    if (!option.positional) continue;
    found.path = found.path || option.takes_path();
    found.choices.insert(found.choices.end(), option.choices.begin(), option.choices.end());
  }
  return found;
}

}  // namespace

std::string bash_completion(const Verb& root) {
  std::string out = R"(# bash completion for mansio, made by `mansio completion bash`

_mansio() {
  local at="mansio" skip=0 i word words="" files=0
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  if [[ $current == "=" ]]; then current=""; fi
  if [[ $previous == "=" ]]; then previous="${COMP_WORDS[COMP_CWORD-2]}"; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ $word == "=" ]]; then skip=1; continue; fi
    if ((skip)); then skip=0; continue; fi
    case "$at $word" in
)";
  out += walk_cases(root, "      ");
  out += R"(    esac
  done
  case "$at $previous" in
)";
  out += value_cases(root, "COMPREPLY=($(compgen -W \"{}\" -- \"$current\")); return",
                     "compopt -o filenames 2>/dev/null; "
                     "COMPREPLY=($(compgen -f -- \"$current\")); return");
  out += "  esac\n  case \"$at\" in\n";
  each(root, [&](const Verb& verb) {
    std::vector<std::string> words;
    for (const Verb& child : verb.verbs) words.push_back(child.name);
    const Positional positional = positional_of(verb);
    words.insert(words.end(), positional.choices.begin(), positional.choices.end());
    for (const VerbOption& option : options_at(root, verb)) {
      if (!option.positional) words.insert(words.end(), option.names.begin(), option.names.end());
    }
    out += fmt::format("    \"{}\") words=\"{}\"{} ;;\n", verb.path, joined(words),
                       positional.path ? "; files=1" : "");
  });
  out += R"(  esac
  if [[ $current != -* ]]; then
    # Options only when a dash asks for them, so that the verbs stand out.
    local shown="" candidate
    for candidate in $words; do [[ $candidate == -* ]] || shown+=" $candidate"; done
    words="$shown"
    if ((files)); then
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "$current"))
      return
    fi
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _mansio mansio
)";
  return out;
}

std::string zsh_completion(const Verb& root) {
  const char* quote = "'\\''";
  std::string out = R"(#compdef mansio
# zsh completion for mansio, made by `mansio completion zsh`

_mansio() {
  local at="mansio" word
  integer skip=0 i files=0
  local -a verbs options
  for ((i = 2; i < CURRENT; i++)); do
    word="${words[i]}"
    if ((skip)); then skip=0; continue; fi
    case "$at $word" in
)";
  out += walk_cases(root, "      ");
  out += R"(    esac
  done
  case "$at ${words[CURRENT-1]}" in
)";
  out += value_cases(root, "compadd -- {}; return", "_files; return");
  out += "  esac\n  case \"$at\" in\n";
  each(root, [&](const Verb& verb) {
    out += fmt::format("    \"{}\")\n      verbs=(", verb.path);
    for (const Verb& child : verb.verbs) {
      out += "\n        " + quoted(child.name + ":" + child.help, quote);
    }
    const Positional positional = positional_of(verb);
    for (const std::string& choice : positional.choices)
      out += "\n        " + quoted(choice, quote);
    out += ")\n      options=(";
    for (const VerbOption& option : options_at(root, verb)) {
      if (option.positional) continue;
      out += "\n        " + quoted(option.names.back() + ":" + option.help, quote);
    }
    out += positional.path ? ")\n      files=1 ;;\n" : ") ;;\n";
  });
  out += R"(  esac
  (($#verbs)) && _describe -t verbs 'verb' verbs
  ((files)) && _files
  [[ ${words[CURRENT]} == -* ]] && _describe -t options 'option' options
}

if [[ $funcstack[1] == _mansio ]]; then
  _mansio "$@"
else
  compdef _mansio mansio
fi
)";
  return out;
}

std::string fish_completion(const Verb& root) {
  const char* quote = "\\'";
  std::string out = R"(# fish completion for mansio, made by `mansio completion fish`

# The verbs that stand on the command line, without options and their values.
function __mansio_at
    set -l at mansio
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$at $word"
)";
  each(root, [&](const Verb& verb) {
    for (const VerbOption& option : options_at(root, verb)) {
      if (option.positional || !option.takes_value()) continue;
      for (const std::string& name : option.names) {
        out +=
            fmt::format("            case '{} {}'\n                set skip 1\n", verb.path, name);
      }
    }
    for (const Verb& child : verb.verbs) {
      out += fmt::format("            case '{} {}'\n                set at '{}'\n", verb.path,
                         child.name, child.path);
    }
  });
  out += R"(        end
    end
    test "$at" = "$argv"
end

complete -c mansio -f
)";
  each(root, [&](const Verb& verb) {
    const std::string at = fmt::format("complete -c mansio -n '__mansio_at {}'", verb.path);
    for (const Verb& child : verb.verbs) {
      out += fmt::format("{} -a {} -d {}\n", at, child.name, quoted(child.help, quote));
    }
    const Positional positional = positional_of(verb);
    if (positional.path) out += at + " -F\n";
    if (!positional.choices.empty()) {
      out += fmt::format("{} -a '{}'\n", at, joined(positional.choices));
    }
    for (const VerbOption& option : options_at(root, verb)) {
      if (option.positional) continue;
      std::string line = at;
      for (const std::string& name : option.names) {
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (option.takes_value()) line += option.takes_path() ? " -r -F" : " -x";
      if (!option.choices.empty()) line += " -a '" + joined(option.choices) + "'";
      out += line + " -d " + quoted(option.help, quote) + "\n";
    }
  });
  return out;
}

void add_completion_command(CLI::App& app, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand("completion", "Print the completion script for a shell");
  const auto shell = std::make_shared<std::string>();
  verb->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("SHELL");
  verb->footer(
      "bash: mansio completion bash > /etc/bash_completion.d/mansio\n"
      "zsh:  mansio completion zsh > /usr/share/zsh/vendor-completions/_mansio\n"
      "fish: mansio completion fish > /etc/fish/completions/mansio.fish\n"
      "Example: source <(mansio completion bash)");
  verb->callback([&app, &action, shell] {
    action = [&app, shell] {
      const Verb root = verb_tree(app);
      const std::string script = *shell == "bash"  ? bash_completion(root)
                                 : *shell == "zsh" ? zsh_completion(root)
                                                   : fish_completion(root);
      std::fwrite(script.data(), 1, script.size(), stdout);
      return 0;
    };
  });
}

}  // namespace mansio::cli
