// Every route of the admin API, declared once: the router, /v1/openapi.json and the tests read this
// table, and what is not in it is denied. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/selector.h"
#include "spool/spool.h"

namespace mansio::admin {

enum class Action : std::uint8_t {
  status,
  summary,
  list,
  show,
  content,
  history,
  why,
  change,
  jobs,
  job,
  cancel_job,
  lanes,
  shape,
  suspensions,
  suspend,
  resume,
  drain,
  undrain,
  reload,
  probe,
  ask_trace,
  trace,
  forget_trace,
  openapi,
  metrics,
  alive,
  ready
};

struct Route {
  std::string method;  ///< GET, POST or DELETE
  std::string path;    ///< "{id}" stands for a queue id, "{number}" for a number that was given out
  Action action = Action::status;
  std::string name;                   ///< operationId
  std::string summary;                ///< one sentence
  std::vector<Parameter> parameters;  ///< of the query
  std::vector<Parameter> fields;      ///< of the body, where it is not that of a bulk verb
  std::string schema;                 ///< of the response; empty: not JSON
  std::string content_type = "application/json";
  std::optional<spool::Verb> verb;  ///< of a change

  bool has_id() const { return path.find("{id}") != std::string::npos; }

  bool has_number() const { return path.find("{number}") != std::string::npos; }

  bool accepts(std::string_view parameter) const;
};

const std::vector<Route>& routes();

/// The answer to "who serves this?". `route` null and `allow` empty: nobody (404); `allow` set: the
/// path exists, but not with this method (405).
struct Match {
  const Route* route = nullptr;
  std::string id;  ///< what stands in the place of {id} or {number}, decoded
  std::string allow;
};

/// HEAD asks what GET does. `path`: the target's, still percent-encoded, so that an encoded slash
/// never makes a segment.
Match find_route(std::string_view method, std::string_view path);

}  // namespace mansio::admin
