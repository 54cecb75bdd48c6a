// Package errors stands in for the SDK's errors.
package errors

// TencentCloudSDKError is the SDK's error; nothing here returns it.
type TencentCloudSDKError struct{ Message string }

func (e *TencentCloudSDKError) Error() string { return e.Message }
