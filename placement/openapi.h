/* SPDX-License-Identifier: Apache-2.0
 *
 * placement/openapi.yaml as JSON.
 */
#ifndef PLACEMENT_OPENAPI_H
#define PLACEMENT_OPENAPI_H

extern const char openapi_document[];

#endif
