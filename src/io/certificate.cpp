// SPDX-License-Identifier: Apache-2.0
#include "io/certificate.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "godwit/address.hpp"

namespace godwit::io {
namespace {

constexpr std::size_t kMaxIdentities = 64;
constexpr std::size_t kMaxName = 255;  // RFC 1035 §2.3.4
constexpr std::size_t kMaxSubject = 256;
constexpr std::size_t kNamesShown = 6;

struct Free {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(unsigned char* text) const { OPENSSL_free(text); }
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view view(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

/// A host name, or an address literal without brackets. Anything else, a NUL in the middle above
/// all, is no name: it must not be compared as the part before it. RFC 5922 §7.2: '*' matches
/// nothing, so it may stand here for the error to show.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_' || c == ':' || c == '*';
         });
}

std::string_view without_brackets(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return host;
}

/// The host of "sip:host"; empty for anything else.
std::string_view sip_domain(std::string_view uri) {
  // RFC 5922 §7.1: "If the scheme of the URI is not "sip", then the implementation MUST NOT accept
  // the value as a SIP domain identity."
  if (lower(uri.substr(0, 4)) != "sip:") return {};
  uri.remove_prefix(4);
  // RFC 5922 §7.1: a value with a user part identifies an individual, not a domain.
  if (uri.find('@') != std::string_view::npos) return {};
  uri = uri.substr(0, uri.find_first_of(";?"));
  if (!uri.empty() && uri.front() == '[') {
    const std::size_t end = uri.find(']');
    return end == std::string_view::npos ? std::string_view{} : uri.substr(1, end - 1);
  }
  return uri.substr(0, uri.find(':'));
}

std::string address_text(const ASN1_OCTET_STRING* octets) {
  const std::string_view bytes = view(octets);
  if (bytes.size() == 4) {
    std::array<std::uint8_t, 4> v4{};
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return IpAddress::v4(v4).to_string();
  }
  if (bytes.size() == 16) {
    std::array<std::uint8_t, 16> v6{};
    std::copy(bytes.begin(), bytes.end(), v6.begin());
    return IpAddress::v6(v6).to_string();
  }
  return {};
}

void add(std::vector<std::string>& names, std::string_view name) {
  if (names.size() < kMaxIdentities && is_name(name)) names.push_back(lower(name));
}

/// The last, most specific common name.
std::string common_name(const X509& certificate) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  int last = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) last = at;
  if (last < 0) return {};
  unsigned char* utf8 = nullptr;
  const int length =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
  const std::unique_ptr<unsigned char, Free> owner(utf8);
  if (length <= 0) return {};
  return std::string(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(length));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string();
}

std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  // As it is read by people: escapes for control characters, not for every letter beyond ASCII.
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  std::string text = text_of(bio.get());
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '.';
  }
  if (text.size() > kMaxSubject) text.resize(kMaxSubject);
  return text.empty() ? "(no name)" : text;
}

std::string time_text(const ASN1_TIME* time) {
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  return ASN1_TIME_print(bio.get(), time) == 1 ? text_of(bio.get()) : "an unreadable time";
}

}  // namespace

std::string subject_of(const x509_st& certificate) {
  return name_text(X509_get_subject_name(&certificate));
}

std::vector<std::string> sip_identities(const x509_st& certificate) {
  std::vector<std::string> uris;
  std::vector<std::string> others;
  int critical = -1;
  const std::unique_ptr<GENERAL_NAMES, Free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, &critical, nullptr)));
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI) {
      add(uris, sip_domain(view(name->d.uniformResourceIdentifier)));
    } else if (name->type == GEN_DNS) {
      add(others, view(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      add(others, address_text(name->d.iPAddress));
    }
  }
  // RFC 5922 §7.1: "An implementation MUST accept a domain name system identifier as a SIP domain
  // identity if and only if no other identity is found that matches the "sip" URI type". Addresses,
  // of which it says nothing, are taken like names: a server may be known by no other name.
  if (!uris.empty()) return uris;
  if (!others.empty()) return others;
  // RFC 5922 §7.1: the common name only "if and only if the subjectAltName does not appear in the
  // certificate". -1: it does not appear; -2: more than once.
  if (!names && critical == -1) add(others, common_name(certificate));
  return others;
}

std::string name_mismatch(const x509_st& certificate, std::string_view server_name) {
  const std::string wanted = lower(without_brackets(server_name));
  const auto names = sip_identities(certificate);
  const auto address = IpAddress::parse(wanted);
  for (const std::string& name : names) {
    // RFC 5922 §7.2: "Implementations MUST match the values in their entirety", without regard to
    // case, and without wildcards; the root's dot is no part of a name.
    if (name == wanted) return {};
    if (address && IpAddress::parse(name) == address) return {};
  }
  std::string reason = "it is not for " + wanted + ", but ";
  if (names.empty()) return reason + "for no name that SIP may use (RFC 5922)";
  reason += "for ";
  for (std::size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) {
    if (i > 0) reason += ", ";
    reason += names[i];
  }
  if (names.size() > kNamesShown) {
    reason += " and " + std::to_string(names.size() - kNamesShown) + " more";
  }
  return reason;
}

std::string chain_problem(const x509_store_ctx_st& store) {
  const int error = X509_STORE_CTX_get_error(&store);
  const int depth = X509_STORE_CTX_get_error_depth(&store);
  const X509* current = X509_STORE_CTX_get_current_cert(&store);
  const std::string who =
      depth == 0 || current == nullptr ? "it" : "its issuer \"" + subject_of(*current) + "\"";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      if (current == nullptr) break;
      return who + " expired at " + time_text(X509_get0_notAfter(current));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      if (current == nullptr) break;
      return who + " is not valid before " + time_text(X509_get0_notBefore(current));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "it is self-signed and not among the trusted certificates";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return who + " is not among the trusted certificates";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      if (current == nullptr) break;
      return "its issuer \"" + name_text(X509_get_issuer_name(current)) +
             "\" is not among the trusted certificates";
    default: break;
  }
  return who + ": " + X509_verify_cert_error_string(error);
}

}  // namespace godwit::io
