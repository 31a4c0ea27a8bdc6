#include "message/reencode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace mansio {
namespace {

std::string convert(const std::string& message) {
  std::string why;
  const std::optional<std::string> converted = to_seven_bit(message, why);
  if (!converted) return "refused: " + why;
  for (const char c : *converted) EXPECT_GE(static_cast<signed char>(c), 0);
  return *converted;
}

TEST(SevenBit, LeavesSevenBitMessagesAlone) {
  const std::string message = "Subject: x\r\n\r\nhello =\r\n";
  EXPECT_EQ(convert(message), message);
}

TEST(SevenBit, EncodesATextPart) {
  EXPECT_EQ(convert("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\n"
                    "\xc3\xbc = b \r\n\r\nend"),
            "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            "=C3=BC =3D b=20\r\n\r\nend");
}

TEST(SevenBit, AddsTheMimeVersionWhereItIsMissing) {
  EXPECT_EQ(convert("Subject: x\r\n\r\n\xe4\r\n"),
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
            "\r\n=E4\r\n");
}

TEST(SevenBit, BreaksLongLines) {
  const std::string out = convert("A: b\r\n\r\n" + std::string(500, '\xe4') + "\r\n");
  std::size_t start = 0;
  for (std::size_t end = out.find("\r\n"); end != std::string::npos;
       end = out.find("\r\n", start)) {
    EXPECT_LE(end - start, 76u);
    start = end + 2;
  }
}

TEST(SevenBit, EncodesOtherPartsInBase64) {
  EXPECT_EQ(convert("MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n\xff\xfe\xfd\r\n"),
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n//79DQo=\r\n");
}

TEST(SevenBit, ConvertsThePartsOfAMultipart) {
  EXPECT_EQ(convert("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b1\"\r\n"
                    "Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b1\r\n\r\nplain\r\n"
                    "--b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                    "<p>\xe4</p>\r\n--b1--\r\nepilogue\r\n"),
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b1\"\r\n"
            "Content-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n--b1\r\n\r\nplain\r\n"
            "--b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "<p>=E4</p>\r\n--b1--\r\nepilogue\r\n");
}

TEST(SevenBit, KeepsTheHeaderOfAMessageThatAReportReturns) {
  const std::string before =
      "MIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=delivery-status; boundary=b1\r\n";
  const std::string report =
      "--b1\r\n\r\nfailed\r\n--b1\r\nContent-Type: message/delivery-status\r\n"
      "\r\nAction: failed\r\n";
  EXPECT_EQ(
      convert(before + "\r\n" + report +
              "--b1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
              "DKIM-Signature: v=1\r\nSubject: \xe4\r\n\r\nbody \xe4\r\n--b1--\r\n"),
      before + "Content-Transfer-Encoding: 7bit\r\n\r\n" + report +
          "--b1\r\nContent-Type: text/rfc822-headers\r\n"
          "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
          "DKIM-Signature: v=3D1\r\nSubject: =E4\r\n\r\n--b1--\r\n");
}

TEST(SevenBit, RefusesWhatItMustNotTouchOrDoesNotUnderstand) {
  const std::string multipart = "Content-Type: multipart/mixed; boundary=b1\r\n\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"DKIM-Signature: v=1\r\n\r\n\xe4\r\n", "signed"},
      {"Content-Type: multipart/signed; boundary=b1\r\n\r\n--b1\r\n\r\n\xe4\r\n--b1--\r\n",
       "signed"},
      {"Subject: \xe4\r\n\r\nx\r\n", "header"},
      {"no header at all \xe4\r\n", "malformed"},
      {"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\xe4\r\n", "message"},
      {"Content-Transfer-Encoding: binary\r\n\r\n\xe4\r\n", "binary"},
      {"Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n", "base64"},
      {"Content-Type: multipart/mixed\r\n\r\n\xe4\r\n", "boundary"},
      {multipart + "\xe4\r\n--b1\r\n\r\nx\r\n--b1--\r\n", "outside"},
      {multipart + "--b1\r\n\r\nx\r\n--b1--\r\n\xe4\r\n", "outside"},
      {multipart + "--b1\r\n\r\n\xe4\r\n", "no end"},
      {multipart + "--b1\r\n\r\n\xe4\r\n--b12\r\n--b1--\r\n", "resembles"},
      {"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n\xe4\r\n", "twice"},
  };
  for (const auto& [message, why] : cases) {
    const std::string result = convert(message);
    EXPECT_TRUE(result.starts_with("refused: ")) << message << " gave " << result;
    EXPECT_NE(result.find(why), std::string::npos) << result;
  }
}

TEST(SevenBit, LimitsNesting) {
  std::string message;
  for (int i = 0; i < 100; ++i) {
    message += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "x\r\n\r\n--b" +
               std::to_string(i) + "x\r\n";
  }
  message += "\r\n\xe4\r\n";
  for (int i = 99; i >= 0; --i) message += "--b" + std::to_string(i) + "x--\r\n";
  EXPECT_NE(convert(message).find("nested"), std::string::npos);
}

TEST(SevenBit, NeverLetsAnEightBitOctetThrough) {
  const std::vector<std::string> tokens = {"\r\n",
                                           "--b\r\n",
                                           "--b--\r\n",
                                           "\xe4",
                                           "A: b\r\n",
                                           "Content-Type: text/plain\r\n",
                                           "Content-Type: multipart/mixed; boundary=b\r\n",
                                           "Content-Transfer-Encoding: 8bit\r\n",
                                           " x"};
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SeededRandom random(seed);
    std::string message;
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      message += tokens[random.below(tokens.size())];
    }
    convert(message);
  }
}

// ---- lines that are too long
// ---------------------------------------------------------------------

const std::string text(1000, 'x');  // one line over the limit

/// So many x in quoted-printable.
std::string encoded(std::size_t count) {
  std::string out;
  for (; count > 75; count -= 75) out += std::string(75, 'x') + "=\r\n";
  return out + std::string(count, 'x');
}

const std::string text_encoded = encoded(1000);

std::string shorten(const std::string& message, std::size_t line_max = 998) {
  std::string why;
  const std::optional<std::string> shorter = to_short_lines(message, line_max, why);
  if (!shorter) return "refused: " + why;
  std::size_t start = 0;
  while (start < shorter->size()) {
    const std::size_t end = std::min(shorter->find("\r\n", start), shorter->size());
    EXPECT_LE(end - start, line_max);
    start = end + 2;
  }
  return *shorter;
}

TEST(ShortLines, LeavesMessagesWithoutLongLinesAlone) {
  const std::string message =
      "DKIM-Signature: v=1\r\nno field\r\n\r\n" + std::string(998, '\xe4') + "\r\n";
  EXPECT_EQ(shorten(message), message);
}

TEST(ShortLines, EncodesTextAndAddsTheMimeFields_I17) {
  const std::string fields = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n";
  EXPECT_EQ(shorten("Subject: x\r\n\r\na=b\r\n" + text + "\r\n"),
            "Subject: x\r\n" + fields + "\r\na=3Db\r\n" + text_encoded + "\r\n");
  EXPECT_EQ(shorten("MIME-version: 1.0\r\nContent-transfer-encoding: 8BIT\r\n"
                    "Content-Type: Text/HTML; charset=utf-8\r\n\r\n\xc3\xa4" +
                    text),
            "MIME-version: 1.0\r\nContent-Type: Text/HTML; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4" +
                std::string(69, 'x') + "=\r\n" + encoded(931));
}

TEST(ShortLines, EncodesWhatIsNoTextInBase64) {
  const std::string header = "MIME-Version: 1.0\r\nContent-Type: application/json\r\n";
  const std::string out = shorten(header + "\r\n{" + text + "}\r\n");
  EXPECT_TRUE(out.starts_with(header + "Content-Transfer-Encoding: base64\r\n\r\ne3h4")) << out;
  EXPECT_TRUE(out.ends_with("DQo=\r\n")) << out;
  const std::string nul = shorten("Subject: x\r\n\r\n" + std::string(1, '\0') + text);
  EXPECT_NE(nul.find("Content-Transfer-Encoding: base64\r\n\r\nAHh4"), std::string::npos) << nul;
}

TEST(ShortLines, BreaksWhatIsEncodedAlready) {
  const std::string header = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: ";
  std::string rows;
  for (int i = 0; i < 13; ++i) rows += std::string(76, 'A') + "\r\n";
  EXPECT_EQ(shorten(header + "Base64\r\n\r\n" + std::string(1000, 'A') + "\r\nAA==\r\n"),
            header + "base64\r\n\r\n" + rows + std::string(14, 'A') + "==\r\n");
  const std::string body = "=C3=A4 " + text + "\r\nx =\r\ny\r\n";
  std::string out = shorten(header + "quoted-printable\r\n\r\n" + body);
  ASSERT_TRUE(out.starts_with(header + "quoted-printable\r\n\r\n=C3=A4 x")) << out;
  for (std::size_t at = out.find("=\r\n"); at != std::string::npos; at = out.find("=\r\n")) {
    out.erase(at, 3);
  }
  EXPECT_TRUE(out.ends_with("\r\n\r\n=C3=A4 " + text + "\r\nx y\r\n")) << out;
}

TEST(ShortLines, TouchesOnlyThePartThatNeedsIt) {
  const std::string outer =
      "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n"
      "Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--a\r\n\r\n\xe4 =\r\n--a\r\n";
  const std::string inner =
      "Content-Type: multipart/alternative; boundary=\"b c\"\r\n"
      "Content-Transfer-Encoding: 7bit\r\n\r\n--b c\r\nContent-Type: text/html\r\n";
  const std::string end = "\r\n--b c--\r\n\r\n--a--\r\nepilogue\r\n";
  std::string expected =
      outer + inner + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + text_encoded + end;
  // The encoding of a multipart comes last in its header.
  EXPECT_EQ(shorten(outer + inner + "\r\n" + text + end), expected);
}

TEST(ShortLines, FoldsHeaderFieldsAtWhiteSpace) {
  const std::string a(600, 'a');
  const std::string b(600, 'b');
  const std::string rest = "\r\nDate: x\r\n\r\nbody =\r\n";
  EXPECT_EQ(shorten("To: " + a + ",\t " + b + rest), "To: " + a + ",\t\r\n " + b + rest);
  EXPECT_EQ(shorten("References: <" + std::string(985, 'i') + ">" + rest),
            "References:\r\n <" + std::string(985, 'i') + ">" + rest);
  EXPECT_EQ(shorten("X: y\r\n " + a + " " + b + rest), "X: y\r\n " + a + "\r\n " + b + rest);
  EXPECT_EQ(shorten("X: one two three\r\n", 80), "X: one two three\r\n");
  EXPECT_EQ(shorten("A: b\r\nSubject: " + a + " " + b), "A: b\r\nSubject: " + a + "\r\n " + b);
  // Beside a body that is encoded, and in the header of a part.
  EXPECT_EQ(shorten("X: " + a + " " + b + "\r\n\r\n" + text),
            "X: " + a + "\r\n " + b +
                "\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
                text_encoded);
  const std::string type = "Content-Type: multipart/mixed; boundary=b\r\n";
  const std::string encoding = "Content-Transfer-Encoding: 7bit\r\n";
  const std::string version = "MIME-Version: 1.0\r\n";
  EXPECT_EQ(shorten(version + type + encoding + "\r\n--b\r\nX: " + a + " " + b + "\r\n--b--\r\n"),
            version + type + encoding + "\r\n--b\r\nX: " + a + "\r\n " + b + "\r\n--b--\r\n");
}

TEST(ShortLines, RefusesWhatItMustNotTouchOrDoesNotUnderstand) {
  const std::string body = "\r\n" + text + "\r\n";
  const std::string multipart = "Content-Type: multipart/mixed; boundary=b1\r\n\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"DKIM-Signature: v=1\r\n" + body, "signed"},
      {"DKIM-Signature: v=1\r\nX: a " + text + "\r\n\r\n", "signed"},
      {"ARC-Seal: i=1\r\n" + body, "signed"},
      {"Content-Type: multipart/signed; boundary=b1\r\n\r\n--b1\r\n" + body + "--b1--\r\n",
       "signed"},
      {"Content-Type: multipart/encrypted; boundary=b1\r\n" + body, "encrypted"},
      {"Content-Type: application/pkcs7-mime\r\n" + body, "encrypted"},
      {multipart + "--b1\r\nContent-Type: application/x-pkcs7-mime\r\n" + body + "--b1--\r\n",
       "encrypted"},
      {"X: " + text.substr(1) + "\r\n\r\nbody", "folded"},
      {"X: a\r\n " + text + "\r\n\r\nbody", "folded"},
      {"X: a" + std::string(1000, ' ') + "\r\n\r\nbody", "folded"},
      {"no header at all\r\n" + body, "malformed"},
      {"Content-Type: message/rfc822\r\n\r\nA: b\r\n" + body, "message with long lines"},
      {"Content-Type: multipart/digest; boundary=b1\r\n\r\n--b1\r\n\r\nA: b\r\n" + body +
           "--b1--\r\n",
       "message with long lines"},
      {"Content-Transfer-Encoding: x-uuencode\x1b\r\n" + body, "x-uuencode\\x1b"},
      {"Content-Transfer-Encoding: base64\r\n\r\n-" + text + "\r\n", "not what it says"},
      {"Content-Transfer-Encoding: quoted-printable\r\n\r\n= " + text + "\r\n", "not what it says"},
      {"Content-Type: multipart/mixed\r\n" + body, "boundary"},
      {multipart + text + "\r\n--b1\r\n\r\nx\r\n--b1--\r\n", "outside"},
      {multipart + "--b1\r\n\r\nx\r\n--b1--\r\n" + text + "\r\n", "outside"},
      {multipart + "--b1" + std::string(1000, ' ') + "\r\n\r\nx\r\n--b1--\r\n", "too long"},
      {multipart + "--b1\r\n" + body, "no end"},
      {"Content-Type: text/plain\r\nContent-Type: text/html\r\n" + body, "twice"},
  };
  for (const auto& [message, why] : cases) {
    const std::string result = shorten(message);
    EXPECT_TRUE(result.starts_with("refused: ")) << message << " gave " << result;
    EXPECT_NE(result.find(why), std::string::npos) << result << " for " << message.substr(0, 99);
  }
}

TEST(ShortLines, NeverLetsALongLineThrough) {
  const std::vector<std::string> tokens = {"\r\n",
                                           "--b\r\n",
                                           "--b--\r\n",
                                           std::string(90, 'x'),
                                           "word word = ",
                                           "=E4=\r\n",
                                           "\xe4",
                                           "A: b\r\n",
                                           "Content-Type: text/plain\r\n",
                                           "Content-Type: multipart/mixed; boundary=b\r\n",
                                           "Content-Transfer-Encoding: base64\r\n",
                                           "Content-Transfer-Encoding: quoted-printable\r\n",
                                           "\r",
                                           "\n",
                                           " "};
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    SeededRandom random(seed);
    std::string message;
    for (std::uint64_t i = random.below(25); i > 0; --i) {
      message += tokens[random.below(tokens.size())];
    }
    shorten(message, 80);
  }
}

std::string as_text(const std::string& message, bool seven_bit = false) {
  std::string why;
  const std::optional<std::string> converted = to_text(message, seven_bit, why);
  if (!converted) return "refused: " + why;
  EXPECT_EQ(converted->find('\0'), std::string::npos);
  std::string without = *converted;
  for (std::size_t at = 0; (at = without.find("\r\n", at)) != std::string::npos;)
    without.erase(at, 2);
  EXPECT_EQ(without.find_first_of("\r\n"), std::string::npos);
  return *converted;
}

TEST(BinaryToText, LeavesWhatDataCanCarryAlone_R48) {
  const std::string message = "Content-Transfer-Encoding: binary\r\n\r\nhello \xc3\xbc\r\n.\r\n";
  EXPECT_EQ(as_text(message), message);
}

TEST(BinaryToText, EncodesBinaryPartsInBase64_R48) {
  EXPECT_EQ(as_text("MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
                    "Content-Transfer-Encoding: binary\r\n\r\n" +
                    std::string("\0\n\r", 3)),
            "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\nAAoN\r\n");
}

TEST(BinaryToText, EncodesTextWithLoneNewlinesWithoutLoss_R48) {
  EXPECT_EQ(as_text("MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
                    "Content-Transfer-Encoding: binary\r\n\r\na\nb\r\n"),
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\nYQpiDQo=\r\n");
  EXPECT_EQ(as_text("A: b\r\n\r\na\nb\r\n"),
            "A: b\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "a=0Ab\r\n");
  EXPECT_NE(as_text("A: b\r\n\r\n" + std::string(999, 'x') + "\r\n").find("=\r\n"),
            std::string::npos);
}

TEST(BinaryToText, ConvertsThePartsOfAMultipart_R48) {
  EXPECT_EQ(as_text("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
                    "Content-Transfer-Encoding: binary\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n"
                    "Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\n\n\n\r\n"
                    "--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\xc3\xbc\r\n--b--\r\n"),
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n"
            "Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nCgoK\r\n\r\n"
            "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n--b--\r\n");
}

TEST(BinaryToText, GivesSevenBitsWhereThatIsAsked_R48) {
  const std::string out = as_text(
      "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
      "Content-Transfer-Encoding: binary\r\n\r\n--b\r\n\r\n\xc3\xbc\r\n--b\r\n"
      "Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\r\n"
      "--b--\r\n",
      true);
  EXPECT_NE(out.find("=C3=BC"), std::string::npos);
  EXPECT_NE(out.find("/w=="), std::string::npos);
  for (const char c : out) EXPECT_GE(static_cast<signed char>(c), 0);
}

TEST(BinaryToText, WrapsWhatIsEncodedAlready) {
  const std::string out = as_text("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                                  std::string(1200, 'A') + "\r\n");
  EXPECT_NE(out.find("Content-Transfer-Encoding: base64"), std::string::npos);
  EXPECT_LT(out.find("\r\n", 70), 160u);
}

TEST(BinaryToText, RefusesWhatItMustNotTouchOrDoesNotUnderstand_R48) {
  EXPECT_EQ(as_text("DKIM-Signature: v=1\r\n\r\na\nb\r\n"), "refused: it is signed");
  EXPECT_EQ(as_text("A: b\nC: d\r\n\r\nx\r\n"),
            "refused: its header holds NUL, or a CR or LF that stands alone");
  EXPECT_EQ(as_text("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n"
                    "A: b\r\n\r\na\nb"),
            "refused: it holds a message with binary content");
  EXPECT_EQ(as_text("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\na\n\r\n--b--"),
            "refused: it is signed or encrypted");
  EXPECT_EQ(as_text("Content-Transfer-Encoding: base64\r\n\r\nAA\nAA\r\n"),
            "refused: a part with binary content says base64");
  EXPECT_EQ(
      as_text("Content-Type: multipart/mixed; boundary=b\r\n\r\na\n\r\n--b\r\n\r\nx\r\n--b--"),
      "refused: binary content stand outside of its parts");
}

TEST(BinaryToText, NeverLetsThroughWhatDataCannotCarry_R48) {
  SeededRandom random(20261122);
  const std::vector<std::string> pieces = {"A: b\r\n",
                                           "Content-Type: text/plain\r\n",
                                           "Content-Type: multipart/mixed; boundary=b\r\n",
                                           "Content-Transfer-Encoding: binary\r\n",
                                           "\r\n",
                                           "--b\r\n",
                                           "--b--\r\n",
                                           "\n",
                                           "\r",
                                           std::string(1, '\0'),
                                           std::string(1000, 'x'),
                                           "\xc3\xbc",
                                           "text\r\n",
                                           "=\r\n"};
  for (int round = 0; round < 3000; ++round) {
    std::string message;
    for (int i = 0; i < 12; ++i) message += pieces[random.below(pieces.size())];
    as_text(message, round % 2 == 0);
  }
}

}  // namespace
}  // namespace mansio
