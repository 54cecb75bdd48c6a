// Package v20170312 stands in for the Tencent VPC client. Every call fails: this flanneld has no
// tencent-vpc backend, and says so to whoever configures it.
package v20170312

import "errors"

var errNotBuiltIn = errors.New("the tencent-vpc backend is not built in")

// Client refuses every call.
type Client struct{}

// NewClientWithSecretId returns a client that refuses every call.
func NewClientWithSecretId(_, _, _ string) (*Client, error) { return &Client{}, nil }

// Filter selects route tables.
type Filter struct {
	Name   *string
	Values []*string
}

// Route is one route of a route table.
type Route struct {
	RouteId, DestinationCidrBlock, GatewayId, GatewayType, RouteType *string
	Enabled                                                          *bool
}

// RouteTable is a table of routes.
type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

// DescribeRouteTablesRequest asks for route tables.
type DescribeRouteTablesRequest struct{ Filters []*Filter }

// DescribeRouteTablesResponse holds route tables.
type DescribeRouteTablesResponse struct {
	Response struct{ RouteTableSet []*RouteTable }
}

// RoutesRequest adds routes to a table or takes them out.
type RoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

// NewDescribeRouteTablesRequest returns an empty request.
func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}

// NewDeleteRoutesRequest returns an empty request.
func NewDeleteRoutesRequest() *RoutesRequest { return &RoutesRequest{} }

// NewCreateRoutesRequest returns an empty request.
func NewCreateRoutesRequest() *RoutesRequest { return &RoutesRequest{} }

// DescribeRouteTables refuses.
func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errNotBuiltIn
}

// DeleteRoutes refuses.
func (*Client) DeleteRoutes(*RoutesRequest) (any, error) { return nil, errNotBuiltIn }

// CreateRoutes refuses.
func (*Client) CreateRoutes(*RoutesRequest) (any, error) { return nil, errNotBuiltIn }
