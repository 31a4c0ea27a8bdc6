#include "admin/routes.h"

#include <gtest/gtest.h>

#include <set>

#include "admin/openapi.h"

namespace mansio::admin {
namespace {

TEST(Routes, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const Route& route : routes()) {
    EXPECT_TRUE(names.insert(route.name).second) << route.name;
    EXPECT_FALSE(route.summary.empty()) << route.name;
    EXPECT_EQ(route.verb.has_value(), route.action == Action::change) << route.name;
    EXPECT_TRUE(route.fields.empty() || route.method == "POST") << route.name;
  }
}

TEST(Routes, AreFoundByTheirOwnPath) {
  for (const Route& route : routes()) {
    std::string path = route.path;
    if (route.has_id()) path.replace(path.find("{id}"), 4, "X");
    if (route.has_number()) path.replace(path.find("{number}"), 8, "X");
    const Match match = find_route(route.method, path);
    ASSERT_EQ(match.route, &route) << route.path;
    EXPECT_EQ(match.id, route.has_id() || route.has_number() ? "X" : "");
  }
}

TEST(Routes, DenyWhatIsNotDeclared) {
  for (const char* path :
       {"", "/", "/v1", "/v1/", "/v1/messages/X/", "/v2/status", "/v1/messages/X/content/more",
        "//v1/status", "/v1/status/", "/V1/status", "/admin", "/v1/messages/X/delete"}) {
    const Match match = find_route("GET", path);
    EXPECT_EQ(match.route, nullptr) << path;
    EXPECT_EQ(match.allow, "") << path;
  }
}

TEST(Routes, TakeChangesByPostOnly) {
  for (const char* verb : {"retry", "hold", "release", "bounce", "remove"}) {
    const std::string path = std::string("/v1/messages/") + verb;
    for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"}) {
      const Match match = find_route(method, path);
      EXPECT_EQ(match.route, nullptr) << method << " " << path;
      EXPECT_EQ(match.allow, "POST");
    }
  }
  EXPECT_EQ(find_route("POST", "/v1/summary").allow, "GET, HEAD");
}

TEST(Routes, KeepAnEncodedSlashInsideTheId) {
  const Match match = find_route("GET", "/v1/messages/..%2f..%2fetc%2fpasswd");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->name, "show");
  EXPECT_EQ(match.id, "../../etc/passwd");
}

TEST(OpenApi, DescribesEveryRouteAndNothingElse) {
  const Json document = openapi_document("1.2.3");
  EXPECT_EQ(document["info"]["version"], "1.2.3");
  std::size_t operations = 0;
  for (const auto& [path, methods] : document["paths"].items()) operations += methods.size();
  EXPECT_EQ(operations, routes().size());
  for (const Route& route : routes()) {
    const Json& methods = document["paths"][route.path];
    const Json& operation = methods[route.method == "GET"    ? "get"
                                    : route.method == "POST" ? "post"
                                                             : "delete"];
    EXPECT_EQ(operation["operationId"], route.name);
    EXPECT_TRUE(operation["responses"].contains("200")) << route.path;
    EXPECT_EQ(operation.contains("requestBody"), route.method == "POST");
  }
}

TEST(OpenApi, HasEverySchemaThatItRefersTo) {
  const Json document = openapi_document("1");
  const std::string text = dump(document);
  const std::string prefix = "#/components/schemas/";
  for (std::size_t at = text.find(prefix); at != std::string::npos;
       at = text.find(prefix, at + 1)) {
    const std::size_t begin = at + prefix.size();
    const std::string name = text.substr(begin, text.find('"', begin) - begin);
    EXPECT_TRUE(document["components"]["schemas"].contains(name)) << name;
  }
}

}  // namespace
}  // namespace mansio::admin
